/** The roles on a swarm in this process, over one store: the loop of spec project#training-loop without a network. */

import { join } from 'node:path'
import { makeFolder } from '../files/make-folder.js'
import type { FsArtifactStore } from '../store/index.js'
import { LeasePlanner, ShardCache } from '../data/index.js'
import { ConfigError } from '../errors.js'
import type { TorchProject } from '../project/torch-project.js'
import type { CallOptions } from '../runtime/python-runtime.js'
import { pathComponent, type HeadDescriptor, type PeerId } from '../schema/index.js'
import { canonicalLineage, readCanonicalHead } from '../store/canonical-head.js'
import { refuseOtherExperiment, type Experiment } from './experiment.js'
import { LocalNetwork, type Swarm } from '../swarm/index.js'
import type { TrainingEvent } from './events.js'
import { LocalState } from './local-state.js'
import { Trainer } from './trainer.js'
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
   * not. It costs the writing of a state per peer and window (`local_state` of a contribution), and the disk space of
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
  const { first, swarms } = makeSwarms(parts)
  const validator = new Validator({ project, experiment, swarm: first })
  const trainers = await makeTrainers(parts, swarms, options)
  try {
    let canonical = await readCanonicalHead(store)
    if (canonical === null) {
      const promotion = await validator.genesis(first.peerId, options)
      canonical = promotion.head
      yield { event: 'promoted', window: 0, promotion }
    } else {
      refuseOtherExperiment(experiment, canonical)
      const lineage = await canonicalLineage(store, canonical)
      await validator.resume(canonical)
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
      for await (const contribution of asTheyCome(work, left)) {
        yield { event: 'window', window, contribution }
      }
      const collected = await validator.collect(window, base, options)
      // In one process no stranger is to blame.
      for (const { error } of collected.left) throw error
      const promotion = await validator.promote(window, base, collected.contributions, options)
      canonical = promotion.head
      // What led to the new head is history: its head and receipts stay, its artifacts may go.
      await store.unpinHead(base.head_id)
      await store.garbageCollect(options)
      yield { event: 'promoted', window, promotion }
    }
  } finally {
    validator.close()
    if (!project.closed) for (const trainer of trainers) await trainer.close()
  }
}

/** The peers of a network that ends with the run. All publish to one store; the first is the validator too. */
function makeSwarms({ experiment, store, peers }: LocalTrainingParts): {
  readonly first: Swarm
  readonly swarms: readonly Swarm[]
} {
  const network = new LocalNetwork(experiment.network_id)
  const join = (peer: PeerId, index: number) =>
    network.join(peer, { store, roles: index === 0 ? ['Validator', 'TrainerCpu'] : ['TrainerCpu'] })
  const swarms = peers.map(join)
  const [first] = swarms
  if (first === undefined) throw new TypeError('a network without peers')
  return { first, swarms }
}

async function makeTrainers(
  parts: LocalTrainingParts,
  swarms: readonly Swarm[],
  options: CallOptions,
): Promise<Trainer[]> {
  const registration = await parts.project.datasetRegistration(options)
  const plan = await parts.project.microshardPlan(registration, options)
  const planner = new LeasePlanner()
  const { project, keepLocalState = true } = parts
  const keeps = keepLocalState && parts.experiment.canonical_reconcile !== 'Replace'
  return Promise.all(
    swarms.map(async (swarm) => {
      const peer = swarm.peerId
      const own = join(parts.peersFolder, pathComponent(peer))
      const root = join(own, 'datasets')
      await makeFolder(root, 'none')
      return new Trainer({
        project,
        experiment: parts.experiment,
        swarm,
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
