/** N peers and a validator over one store, in this process: the loop of spec project#training-loop without a network. */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { FsArtifactStore } from '../store/index.js'
import { LeasePlanner, ShardCache } from '../data/index.js'
import { ConfigError } from '../errors.js'
import type { TorchProject } from '../project/torch-project.js'
import type { CallOptions } from '../runtime/python-runtime.js'
import { pathComponent, type HeadDescriptor, type PeerId } from '../schema/index.js'
import { canonicalLineage, readCanonicalHead } from '../store/canonical-head.js'
import type { Experiment } from './experiment.js'
import type { TrainingEvent } from './events.js'
import { LocalState } from './local-state.js'
import { Trainer, type Contribution } from './trainer.js'
import { Validator } from './validator.js'

/** What a run works with. */
export interface LocalTrainingParts {
  readonly project: TorchProject
  readonly experiment: Experiment
  readonly store: FsArtifactStore
  /** At least one, each once. */
  readonly peers: readonly PeerId[]
  /** Folder of the peers' shard caches and training states, a folder each, named by {@link pathComponent} of its peer. */
  readonly peersFolder: string
  /**
   * Whether peers keep their own training state beside their caches, where `canonical_reconcile` is not `Replace` and
   * the workload has `save_training_state`: then a run that is killed and resumed gives the same bits as one that is
   * not. It costs the writing of a state per peer and window ({@link Contribution.local_state}), and the disk space of
   * two. Default true.
   */
  readonly keepLocalState?: boolean
}

/**
 * Trains up to `windows` windows: in each, every peer follows the canonical head, leases, fetches, trains
 * and publishes, then the validator merges, evaluates and promotes. A store that has a canonical head of
 * this experiment is resumed: the next window is the one after its step, and a window that was cut
 * off is done again. Peers whose `canonical_reconcile` carries their own model on resume from their kept state; the
 * event `local_state_missing` names each that cannot.
 *
 * Throws what a peer or the validator throws, once all peers have ended their window; the store then holds
 * the last promoted head. Throws {@link ConfigError} when the store belongs to another experiment or
 * revision, and when `peers` is empty or names a peer twice. Breaking out of the loop aborts the window in progress.
 */
export async function* localTraining(
  parts: LocalTrainingParts,
  windows: number,
  options: CallOptions = {},
): AsyncGenerator<TrainingEvent> {
  refuseBadPeers(parts.peers)
  const { project, experiment, store } = parts
  const validator = new Validator(parts)
  const trainers = await makeTrainers(parts, options)
  try {
    let canonical = await readCanonicalHead(store)
    if (canonical === null) {
      const promotion = await validator.genesis(trainers[0]?.peerId ?? 'peer', options)
      canonical = promotion.head
      yield { event: 'promoted', window: 0, promotion }
    } else {
      refuseOtherExperiment(experiment, canonical)
      const lineage = await canonicalLineage(store, canonical)
      // A cut between promoting a head and unpinning its base would keep the base's artifact indefinitely.
      if (canonical.parent_head_id !== null) await store.unpinHead(canonical.parent_head_id)
      yield { event: 'resumed', head: canonical, lineage }
      if (canonical.global_step < windows) {
        for (const trainer of trainers) {
          const missing = await trainer.restore(canonical, options)
          const window = canonical.global_step
          const peer = trainer.peerId
          if (missing !== null) yield { event: 'local_state_missing', window, peer, ...missing }
        }
      }
    }
    for (let window = canonical.global_step + 1; window <= windows; window++) {
      const base: HeadDescriptor = canonical
      const left = new AbortController()
      const signal = AbortSignal.any([left.signal, ...(options.signal ? [options.signal] : [])])
      const work = trainers.map((trainer) => trainer.window(window, base, { ...options, signal }))
      const contributions: Contribution[] = []
      for await (const contribution of asTheyCome(work, left)) {
        contributions.push(contribution)
        yield { event: 'window', window, contribution }
      }
      const promotion = await validator.promote(window, base, contributions, options)
      canonical = promotion.head
      // What led to the new head is history: its head and receipts stay, its artifacts may go.
      await store.unpinHead(base.head_id)
      await store.garbageCollect(options)
      yield { event: 'promoted', window, promotion }
    }
  } finally {
    if (!project.closed) for (const trainer of trainers) await trainer.close()
  }
}

async function makeTrainers(parts: LocalTrainingParts, options: CallOptions): Promise<Trainer[]> {
  const registration = await parts.project.datasetRegistration(options)
  const plan = await parts.project.microshardPlan(registration, options)
  const planner = new LeasePlanner()
  const { project, keepLocalState = true } = parts
  const keeps = keepLocalState && parts.experiment.canonical_reconcile !== 'Replace'
  return Promise.all(
    parts.peers.map(async (peer) => {
      const own = join(parts.peersFolder, pathComponent(peer))
      const root = join(own, 'datasets')
      await mkdir(root, { recursive: true })
      return new Trainer(peer, {
        ...parts,
        planner,
        registration,
        plan,
        cache: new ShardCache(root),
        localState: keeps ? new LocalState(join(own, 'state'), project, peer) : null,
      })
    }),
  )
}

function refuseBadPeers(peers: readonly PeerId[]): void {
  const twice = peers.find((peer, index) => peers.indexOf(peer) !== index)
  if (peers.length > 0 && twice === undefined) return
  const problem = twice === undefined ? 'no peer' : `the peer ${JSON.stringify(twice)} twice`
  const message = `there is ${problem}; name at least one, each once`
  throw new ConfigError('Cannot train', [{ path: 'peers', message }])
}

function refuseOtherExperiment(experiment: Experiment, head: HeadDescriptor): void {
  for (const field of ['study_id', 'experiment_id', 'revision_id'] as const) {
    if (head[field] === experiment[field]) continue
    const message =
      `the store's canonical head ${head.head_id} is of ${field} ${JSON.stringify(head[field])}, not ` +
      `${JSON.stringify(experiment[field])}; use another output folder, or remove this one`
    throw new ConfigError('Cannot continue with this store', [{ path: field, message }])
  }
}

/**
 * The results as they come. When one fails the others are awaited, then its error is thrown. When the
 * consumer leaves early the others are aborted through `left`, and awaited.
 */
async function* asTheyCome<T>(
  work: readonly Promise<T>[],
  left: AbortController,
): AsyncGenerator<T> {
  const open = new Map(
    work.map((promise, index) => [
      index,
      promise.then(
        (value) => ({ index, value }),
        (error: unknown) => ({ index, error }),
      ),
    ]),
  )
  let failure: { error: unknown } | undefined
  try {
    while (open.size > 0) {
      const next = await Promise.race(open.values())
      open.delete(next.index)
      if ('error' in next) failure ??= next
      else if (failure === undefined) yield next.value
    }
  } finally {
    if (open.size > 0) left.abort()
    await Promise.all(open.values())
  }
  if (failure !== undefined) throw failure.error
}
