import { ConfigError, WorkloadFactoryError, type ConfigIssue } from '../errors.js'
import type { PyInput } from '../runtime/values.js'
import type {
  ChunkingScheme,
  ContentId,
  PatchSupport,
  Precision,
  PythonStateDictFilterConfig,
  PythonTorchDatasetConfig,
  PythonTorchRuntimeConfig,
  SupportedWorkload,
} from '../schema/index.js'

/** `workload_config`: what the factory is called with. May be left out where the type allows `undefined`. */
export type WorkloadConfigField<Config> = undefined extends Config
  ? {
      /**
       * What the factory is called with; docs/reference/values.md says what arrives: `64` as an int, `0.5` and
       * `new PyFloat(1)` as floats. Default: null.
       */
      readonly workload_config?: Config
    }
  : {
      /** What the factory is called with, once the project's `workloadConfigSchema` has read it. */
      readonly workload_config: Config
    }

/**
 * Which Python runs which workload: the record of spec project#runtime-config, with its defaults optional. `Config` is
 * the type of `workload_config`.
 */
export type TorchRuntimeConfig<Config = PyInput> = Partial<
  Omit<PythonTorchRuntimeConfig, 'workload_factory' | 'workload_config'>
> & {
  /** `module:attr` of the callable that makes the workload. */
  readonly workload_factory: string
} & WorkloadConfigField<Config>

/** A workload, its data and its artifacts (spec project#workload-config). Only `runtime` is always needed. */
export interface TorchWorkloadConfig<Config = PyInput> {
  readonly runtime: TorchRuntimeConfig<Config>
  /** Needed by the default data pipeline, unless the project is given another. */
  readonly dataset?: PythonTorchDatasetConfig
  /** What the workload is to the network. Needed by `supportedWorkload()` and `verifyRevision()`. */
  readonly supported_workload?: SupportedWorkload
  /** Names the model's shape: artifacts of another schema are not loaded. Needed for artifacts. */
  readonly model_schema_hash?: ContentId
  /** Default `python-torch-safetensors`. */
  readonly artifact_record_format?: string
  /** Default `Fp32`. */
  readonly artifact_precision?: Precision
  /** Default 262,144 bytes. */
  readonly artifact_chunking?: ChunkingScheme
  /** Default: none. */
  readonly patch_support?: PatchSupport
  /** Default: everything. */
  readonly state_dict_filter?: PythonStateDictFilterConfig
}

/** The defaults of spec project#workload-config. */
export const WORKLOAD_CONFIG_DEFAULTS = {
  artifact_record_format: 'python-torch-safetensors',
  artifact_precision: 'Fp32',
  artifact_chunking: { chunk_size_bytes: 262_144 },
  patch_support: { hot: false, warm: false, cold: false },
  state_dict_filter: { include_globs: [], exclude_globs: [] },
} as const satisfies Omit<
  TorchWorkloadConfig,
  'runtime' | 'dataset' | 'supported_workload' | 'model_schema_hash'
>

/**
 * Checks what can be checked before Python runs (`validate` of spec project#workload-config).
 *
 * Throws {@link WorkloadFactoryError} for a factory without `module:attr`, {@link ConfigError} for a
 * filter pattern that is blank or has a NUL byte.
 */
export function validateWorkloadConfig(
  config: Omit<TorchWorkloadConfig, 'runtime'> & {
    readonly runtime: { readonly workload_factory: string }
  },
): void {
  validateFactory(config.runtime.workload_factory)
  if (config.state_dict_filter !== undefined) validateStateDictFilter(config.state_dict_filter)
}

function validateFactory(factory: string): void {
  const colon = factory.indexOf(':')
  if (colon === -1) {
    throw new WorkloadFactoryError(
      `python workload_factory must use module:attr form, got ${JSON.stringify(factory)}`,
    )
  }
  if (factory.slice(0, colon).trim() === '' || factory.slice(colon + 1).trim() === '') {
    throw new WorkloadFactoryError(
      `python workload_factory must include non-empty module and attr, got ${JSON.stringify(factory)}`,
    )
  }
}

/** Checks a filter (spec project#state-dict-filter). Throws {@link ConfigError} listing every bad pattern. */
export function validateStateDictFilter(filter: PythonStateDictFilterConfig): void {
  const issues: ConfigIssue[] = []
  for (const list of ['include_globs', 'exclude_globs'] as const) {
    filter[list].forEach((pattern, index) => {
      const path = `state_dict_filter.${list}[${index}]`
      if (pattern.trim() === '') {
        issues.push({ path, message: `state_dict_filter.${list} contains an empty pattern` })
      } else if (pattern.includes('\0')) {
        issues.push({ path, message: `state_dict_filter.${list} pattern contains a NUL byte` })
      }
    })
  }
  if (issues.length > 0) throw new ConfigError('Cannot use the workload config', issues)
}
