/**
 * `workload_config` by a schema of the user's: of zod, or of any library that has the interface of Standard
 * Schema, version 1. Nothing of such a library is imported here, so that it costs nothing to those who use none.
 */

import { ConfigError, type ConfigIssue } from '../errors.js'
import type { PyInput } from '../runtime/values.js'
import { configIssue } from '../schema/issues.js'
import { describe } from '../schema/describe.js'
import type { TorchRuntimeConfig, TorchWorkloadConfig } from './workload-config.js'

/** The part of Standard Schema, version 1, that is needed: what reads `Input` and gives `Output`. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    /** Reads a value, or says what is wrong with it. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    /** Never there when it runs; it carries the types. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

/** What reading with a schema gives: the value, or problems. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | {
      readonly issues: readonly {
        readonly message: string
        readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
      }[]
    }

type SchemaIssue = NonNullable<SchemaResult<unknown>['issues']>[number]

/** A schema whose output can cross to Python. */
export type WorkloadConfigSchema = StandardSchema<unknown, PyInput>

/** What stands in for a schema where none is given. */
export type AnyWorkloadConfig = StandardSchema<PyInput>

/** What a schema reads. */
export type SchemaInput<Schema extends WorkloadConfigSchema> = NonNullable<
  Schema['~standard']['types']
>['input']

/**
 * The config with `workload_config` as its schema reads it. Throws {@link ConfigError}: with every problem that
 * the schema finds, or for something that is not a schema.
 */
export async function readWorkloadConfig(
  config: Omit<TorchWorkloadConfig, 'runtime'> & { readonly runtime: TorchRuntimeConfig<unknown> },
  schema: WorkloadConfigSchema | undefined,
): Promise<TorchWorkloadConfig> {
  if (schema === undefined) return config as TorchWorkloadConfig
  const workload_config = await readConfig(schema, config.runtime.workload_config)
  return { ...config, runtime: { ...config.runtime, workload_config } }
}

/** What the schema reads, for a hook's `input` or `output`. Throws {@link ConfigError} with every problem. */
export async function readWith<Output>(
  schema: StandardSchema<unknown, Output>,
  given: unknown,
  what: string,
): Promise<Output> {
  const result = await standardOf(schema, what).validate(given)
  if (result.issues === undefined) return result.value
  throw new ConfigError(`Cannot take the ${what} of this hook`, located([what], result.issues))
}

async function readConfig(schema: WorkloadConfigSchema, given: unknown): Promise<PyInput> {
  const result = await standardOf(schema, 'workloadConfigSchema').validate(given)
  if (result.issues === undefined) return result.value
  throw new ConfigError(
    'Cannot use the workload config',
    located(['runtime', 'workload_config'], result.issues),
  )
}

/** Typed code cannot give another; JavaScript, and the schemas of older libraries, can. */
function standardOf<Output>(
  schema: StandardSchema<unknown, Output>,
  option: string,
): StandardSchema<unknown, Output>['~standard'] {
  const holder = schema as Partial<StandardSchema<unknown, Output>> | null
  const standard: Partial<StandardSchema<unknown, Output>['~standard']> | undefined =
    holder?.['~standard']
  if (standard?.version === 1 && typeof standard.validate === 'function') {
    return standard as StandardSchema<unknown, Output>['~standard']
  }
  const action = option === 'workloadConfigSchema' ? 'open the project' : 'call the hook'
  throw new ConfigError(`Cannot ${action}`, [
    {
      path: option,
      message:
        `expected a schema that has the interface of Standard Schema, version 1, got ${describe(schema)}; ` +
        'pass a schema of zod 4, or of zod from 3.24 on',
    },
  ])
}

function located(within: readonly string[], issues: readonly SchemaIssue[]): ConfigIssue[] {
  return issues.map(({ path = [], message }) => {
    const keys = path.map((part) => (typeof part === 'object' ? part.key : part))
    return configIssue({ path: [...within, ...keys], message })
  })
}
