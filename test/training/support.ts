/** A whole local run in a temporary folder: shards, a project over the scripted workload, a store. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EmbeddedRuntime, TorchProject, type CallOptions, type PyInput } from '../../lib/index.js'
import { FsArtifactStore } from '../../lib/store/index.js'
import type { HeadDescriptor, PeerId } from '../../lib/schema/index.js'
import { readCanonicalHead } from '../../lib/store/canonical-head.js'
import type { Experiment } from '../../lib/training/experiment.js'
import { localDataset } from '../../lib/data/local-dataset.js'
import type { TrainingEvent } from '../../lib/training/events.js'
import { localTraining } from '../../lib/training/local-training.js'
import type { Contribution } from '../../lib/training/trainer.js'
import type { Promotion } from '../../lib/training/validator.js'
import { modelsInPython, scripted, type Hooks } from '../project/support.js'
import { writeShards } from '../support/shards.js'

/** Examples in each shard, which make one work unit. */
export const EXAMPLES = 16

export const experiment: Experiment = {
  network_id: 'net',
  study_id: 'study',
  experiment_id: 'exp',
  revision_id: 'rev-1',
  merge_policy: 'QualityWeightedEma',
  canonical_reconcile: 'Replace',
  evaluation_split: 'Validation',
  budget_work_units: 4,
}

export interface RunOptions {
  readonly hooks?: Hooks
  readonly workloadConfig?: Readonly<Record<string, PyInput>>
  readonly experiment?: Partial<Experiment>
  readonly peers?: readonly PeerId[]
  /** In place of the scripted workload's. */
  readonly factory?: string
  /** In place of `schema`. */
  readonly schema?: string
}

export class Run implements AsyncDisposable {
  private constructor(
    readonly folder: string,
    readonly runtime: EmbeddedRuntime,
    readonly project: TorchProject,
    readonly experiment: Experiment,
    readonly peers: readonly PeerId[],
    /** One without durability and without grace for unclaimed chunks. */
    readonly store: FsArtifactStore,
  ) {}

  /** Eight shards in batches of two; two peers unless others are named. */
  static async make(options: RunOptions = {}): Promise<Run> {
    const folder = await mkdtemp(join(tmpdir(), 'torchbed-training-'))
    const root = join(folder, 'shards')
    await writeShards(root, 8, EXAMPLES)
    const dataset = await localDataset({ root, datasetId: 'zeros', microshardsPerBatch: 2 })
    const runtime = await EmbeddedRuntime.start()
    const config = scripted(
      options.hooks,
      { dataset, model_schema_hash: options.schema ?? 'schema' },
      options.workloadConfig,
    )
    return new Run(
      folder,
      runtime,
      await TorchProject.open(
        options.factory === undefined
          ? config
          : { ...config, runtime: { ...config.runtime, workload_factory: options.factory } },
        { runtime },
      ),
      { ...experiment, ...options.experiment },
      options.peers ?? ['peer-1', 'peer-2'],
      openStore(join(folder, 'store')),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.project.close()
    await this.runtime.close()
    await rm(this.folder, { recursive: true })
  }

  get shards(): string {
    return join(this.folder, 'shards')
  }

  get peersFolder(): string {
    return join(this.folder, 'peers')
  }

  /** The run, not begun yet. */
  begin(windows: number, options?: CallOptions): AsyncGenerator<TrainingEvent> {
    return localTraining(this, windows, options)
  }

  /** Runs to the end. */
  async train(windows: number, options?: CallOptions): Promise<Log> {
    const events: TrainingEvent[] = []
    for await (const event of this.begin(windows, options)) events.push(event)
    return new Log(events)
  }

  /** The store's canonical head, which must be there with all its bytes. */
  async canonical(): Promise<HeadDescriptor> {
    const head = await readCanonicalHead(this.store)
    assert.ok(head)
    assert.ok(await this.store.hasCompleteArtifact(head.artifact_id, { verify: true }))
    return head
  }

  /** The state that a head's artifact holds. */
  async stateOf({ artifact_id }: { artifact_id: string }): Promise<Record<string, unknown>> {
    const descriptor = await this.store.loadManifest(artifact_id)
    const bytes = await this.store.materializeArtifactBytes(descriptor)
    return JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>
  }

  /** How many models Python holds. */
  async models(): Promise<bigint> {
    return modelsInPython(this.runtime)
  }
}

/** A store without durability and without grace for unclaimed chunks. */
export function openStore(root: string): FsArtifactStore {
  return new FsArtifactStore(root, { durability: 'none' })
}

/** What a run yielded. */
export class Log {
  constructor(readonly events: readonly TrainingEvent[]) {}

  /** All contributions, or those of a window, by peer. */
  contributions(window?: number): Contribution[] {
    return this.events
      .flatMap((event) =>
        event.event === 'window' && (window === undefined || event.window === window)
          ? [event.contribution]
          : [],
      )
      .sort((a, b) => (a.peer_id < b.peer_id ? -1 : 1))
  }

  promotions(): Promotion[] {
    return this.events.flatMap((event) => (event.event === 'promoted' ? [event.promotion] : []))
  }
}

/** What a generator of records of a store lists, without the damaged ones, of which there must be none. */
export async function idsOf<T>(
  records: AsyncIterable<{ readonly path: string; readonly record?: T }>,
  id: (record: T) => string,
): Promise<string[]> {
  const ids: string[] = []
  for await (const { path, record } of records) {
    assert.ok(record !== undefined, path)
    ids.push(id(record))
  }
  return ids.sort()
}

export async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8')) as unknown
}
