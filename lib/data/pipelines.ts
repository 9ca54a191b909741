/** How a workload gets from a dataset to the batches of a lease (spec project#the-project, project#operations and formats#records). */

import {
  LeaseDataPipelineDescriptor,
  PythonTorchDatasetConfig,
  type AssignmentLease,
  type CachedMicroShard,
  type DatasetRegistration,
  type JsonValue,
  type LeaseDataPipelineKind,
  type MicroShardPlan,
  type PythonBatchRef,
} from '../schema/index.js'
import { cachedMicroshardGroup, microEpoch } from './batches.js'
import * as dataset from './dataset-registration.js'
import type { OperationOptions } from '../core/abort.js'

export type Awaitable<T> = T | Promise<T>

/**
 * The way from a dataset to batches.
 *
 * @typeParam Batch what the workload's `train_window` takes; the formats know {@link PythonBatchRef}
 */
export interface LeaseDataPipeline<Batch = PythonBatchRef> {
  readonly descriptor: LeaseDataPipelineDescriptor
  /** The dataset, and where its shards come from. */
  registration(options?: OperationOptions): Promise<DatasetRegistration>
  /** The microshards of the registered dataset. Rejects with a typed error when it cannot be planned. */
  plan(registration: DatasetRegistration, options?: OperationOptions): Promise<MicroShardPlan>
  /** The batches of a lease, given its microshards as verified files. */
  loadBatches(
    lease: AssignmentLease,
    cached: readonly CachedMicroShard[],
    options?: OperationOptions,
  ): Promise<readonly Batch[]>
}

/** The functions of a custom pipeline; each may be asynchronous and receives the caller's signal. */
export interface CustomPipeline<Batch = PythonBatchRef> {
  readonly descriptor: LeaseDataPipelineDescriptor
  /** Answers what the dataset is. */
  readonly registration: (options: OperationOptions) => Awaitable<DatasetRegistration>
  /** Cuts the dataset into microshards. */
  readonly plan: (
    registration: DatasetRegistration,
    options: OperationOptions,
  ) => Awaitable<MicroShardPlan>
  /** Makes the batches of a lease, of the shards that are in the cache. */
  readonly loadBatches: (
    lease: AssignmentLease,
    cached: readonly CachedMicroShard[],
    options: OperationOptions,
  ) => Awaitable<readonly Batch[]>
}

/** Makes what describes the one batch of a lease; integers are `bigint`, floats `number`. */
export type PayloadFunction = (
  lease: AssignmentLease,
  cached: readonly CachedMicroShard[],
  options: OperationOptions,
) => Awaitable<JsonValue>

/** The name of the default pipeline (spec formats#records). */
export const SHARDED_PIPELINE_NAME = 'python-sharded-dataset'

/**
 * A pipeline of the application's own functions.
 *
 * @throws ConfigError when the descriptor does not fit its format
 */
export function customPipeline<Batch = PythonBatchRef>(
  functions: CustomPipeline<Batch>,
): LeaseDataPipeline<Batch> {
  LeaseDataPipelineDescriptor.toWire(functions.descriptor)
  return {
    descriptor: functions.descriptor,
    registration: async (options = {}) => functions.registration(options),
    plan: async (registration, options = {}) => functions.plan(registration, options),
    loadBatches: async (lease, cached, options = {}) =>
      functions.loadBatches(lease, cached, options),
  }
}

/**
 * The default pipeline: a folder of shards. Batches are the cached shards, in order, in groups of
 * `max(1, microshards_per_batch)`; no shards, no batches. The plan is made once.
 *
 * @throws ConfigError when the config does not fit its format
 */
export function shardedDataPipeline(config: PythonTorchDatasetConfig): LeaseDataPipeline {
  PythonTorchDatasetConfig.toWire(config)
  const groupSize = Math.max(1, config.microshards_per_batch)
  let planned: MicroShardPlan | undefined
  return customPipeline({
    descriptor: {
      pipeline_name: SHARDED_PIPELINE_NAME,
      kind: 'sharded-static',
      input_source: null,
      metadata: { format: config.format },
    },
    registration: () => dataset.registration(config),
    plan: async (_registration, options) => (planned ??= await dataset.plan(config, options)),
    loadBatches: (_lease, cached) => {
      const batches: PythonBatchRef[] = []
      for (let at = 0; at < cached.length; at += groupSize) {
        batches.push(cachedMicroshardGroup(cached.slice(at, at + groupSize)))
      }
      return batches
    },
  })
}

/** A pipeline whose leases each become exactly one batch, which a payload describes. */
export function microEpochPipeline(
  descriptor: LeaseDataPipelineDescriptor,
  registration: CustomPipeline['registration'],
  plan: CustomPipeline['plan'],
  payload: PayloadFunction,
): LeaseDataPipeline {
  return customPipeline({
    descriptor,
    registration,
    plan,
    loadBatches: async (lease, cached, options) => [
      microEpoch(lease, cached, descriptor.kind, await payload(lease, cached, options)),
    ],
  })
}

/** A {@link microEpochPipeline} over a dataset that the workload looks items up in. */
export function indexedDatasetPipeline(
  name: string,
  registration: CustomPipeline['registration'],
  plan: CustomPipeline['plan'],
  payload: PayloadFunction,
): LeaseDataPipeline {
  return microEpochPipeline(describe(name, 'indexed-dataset'), registration, plan, payload)
}

/** A {@link microEpochPipeline} over examples that the workload makes itself. */
export function generatedDatasetPipeline(
  name: string,
  registration: CustomPipeline['registration'],
  plan: CustomPipeline['plan'],
  payload: PayloadFunction,
): LeaseDataPipeline {
  return microEpochPipeline(describe(name, 'generated-dataset'), registration, plan, payload)
}

function describe(pipeline_name: string, kind: LeaseDataPipelineKind): LeaseDataPipelineDescriptor {
  return { pipeline_name, kind, input_source: null, metadata: {} }
}
