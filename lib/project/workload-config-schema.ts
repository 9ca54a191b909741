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
  | { readonly issues: readonly SchemaIssue[] }

/** One problem that a schema found, and where. */
export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

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
  const workload_config = await readWith(schema, config.runtime.workload_config)
  return { ...config, runtime: { ...config.runtime, workload_config } }
}

async function readWith(schema: WorkloadConfigSchema, given: unknown): Promise<PyInput> {
  const result = await standardOf(schema).validate(given)
  if (result.issues === undefined) return result.value
  throw new ConfigError('Cannot use the workload config', result.issues.map(located))
}

/** Typed code cannot give another; JavaScript, and the schemas of older libraries, can. */
function standardOf(schema: unknown): WorkloadConfigSchema['~standard'] {
  const holder = schema as Partial<WorkloadConfigSchema> | null
  const standard: Partial<WorkloadConfigSchema['~standard']> | undefined = holder?.['~standard']
  if (standard?.version === 1 && typeof standard.validate === 'function') {
    return standard as WorkloadConfigSchema['~standard']
  }
  throw new ConfigError('Cannot open the project', [
    {
      path: 'workloadConfigSchema',
      message:
        `expected a schema that has the interface of Standard Schema, version 1, got ${describe(schema)}; ` +
        'pass a schema of zod 4, or of zod from 3.24 on',
    },
  ])
}

function located({ path = [], message }: SchemaIssue): ConfigIssue {
  const keys = path.map((part) => (typeof part === 'object' ? part.key : part))
  return configIssue({ path: ['runtime', 'workload_config', ...keys], message })
}
