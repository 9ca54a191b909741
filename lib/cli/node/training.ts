/** A peer that trains or validates: what `torchbed node` does with a config. */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { isAbort } from '../../core/abort.js'
import { LeasePlanner, ShardCache } from '../../data/index.js'
import { makeFolder } from '../../files/make-folder.js'
import type { TrainingNode } from '../../p2p/index.js'
import type { HeadDescriptor } from '../../schema/index.js'
import { providersOf } from '../../training/announcements.js'
import {
  LocalState,
  trainOnSwarm,
  validateOnSwarm,
  type Experiment,
  type TrainerParts,
  type TrainingEvent,
} from '../../training/index.js'
import { describeError } from '../report-error.js'
import type { TrainConfig } from '../train/config.js'
import { numericMetric } from '../train/events.js'
import { idleLoopDelay, LoopDelay } from '../train/loop-delay.js'
import { peerWindow } from '../train/record.js'
import { experimentOfConfig, openWorkload, type OpenedWorkload } from '../train/workload.js'
import type { NodeReporter, NodeSummary } from './events.js'
import { startNode, tellNetwork, type NodeRun } from './run.js'

/** How a peer that trains is run. */
export interface TrainingNodeRun extends NodeRun {
  readonly config: TrainConfig
  /** Step of the canonical head at which it ends; undefined: when it is stopped. */
  readonly windows: number | undefined
  /** Whether it promotes without those that took part recently. */
  readonly alone: boolean
  /** Overrides the config's `python_executable`. */
  readonly python: string | undefined
}

/** How long a peer that is done stays for those that have not fetched the last head from it, in milliseconds. */
const LINGER_MS = 15_000

/**
 * Trains, validates, or both, until the head of the last window is promoted, or the signal fires. The canonical head's model is
 * kept as `<folder>/model.safetensors`.
 *
 * @throws AbortError when the signal fires; the errors of `openWorkload`, `createNode`, `trainOnSwarm` and `validateOnSwarm`
 */
export async function runTrainingNode(
  run: TrainingNodeRun,
  report: NodeReporter,
  signal: AbortSignal,
): Promise<void> {
  const { config, python } = run
  await using workload = await openWorkload(config, {
    ...{ python, signal },
    onStatus: () => undefined,
    onOutput: (line) => process.stderr.write(`${line}\n`),
    onPrepared: (prepared) => report({ event: 'prepared', ...prepared }),
  })
  const idleLoopDelayP99Ms = await idleLoopDelay(signal)
  const { training } = config
  const experiment = {
    ...(await experimentOfConfig(config, workload.project, 1)),
    network_id: run.network,
  }
  const { study_id, experiment_id } = training
  const { version, executable } = workload.runtime.python
  report({
    event: 'start',
    workload: workload.project.workloadName,
    device: workload.project.runtimeDevice,
    python: version,
    executable,
    experiment: experiment_id,
    idleLoopDelayP99Ms,
  })
  const experiments = [...run.experiments, { study_id, experiment_id }]
  const node = await startNode({ ...run, experiments }, report, signal)
  const ended = new AbortController()
  const until = AbortSignal.any([signal, ended.signal])
  const telling = tellNetwork(node, report, until).catch((error: unknown) => {
    if (!isAbort(error)) throw error
  })
  const peer = new TrainingPeer({ run, workload, experiment, node, report, signal })
  try {
    await peer.work()
    await peer.linger()
  } finally {
    // Also of one that is stopped.
    const summary = peer.summary(idleLoopDelayP99Ms)
    if (summary !== undefined) report({ event: 'summary', ...summary })
    ended.abort()
    await telling
    await node.stop()
  }
}

interface TrainingPeerParts {
  readonly run: TrainingNodeRun
  readonly workload: OpenedWorkload
  readonly experiment: Experiment
  readonly node: TrainingNode
  readonly report: NodeReporter
  readonly signal: AbortSignal
}

class TrainingPeer {
  readonly #parts: TrainingPeerParts
  readonly #began = performance.now()
  readonly #delay = new LoopDelay()
  readonly #model: string
  #head: HeadDescriptor | undefined
  #windows = 0
  #promoted = 0
  /** The peers that train or validate, and when each was last connected. */
  readonly #seen = new Map<string, number>()
  readonly #watch = setInterval(() => this.#look(), 500).unref()

  constructor(parts: TrainingPeerParts) {
    this.#parts = parts
    this.#model = join(parts.run.folder, 'model.safetensors')
    this.#delay.reset()
  }

  /** Runs the roles until they are done. One that fails ends the other. */
  async work(): Promise<void> {
    const { run, signal } = this.#parts
    const failed = new AbortController()
    const options = {
      signal: AbortSignal.any([signal, failed.signal]),
      ...(run.windows !== undefined && { windows: run.windows }),
    }
    const roles: Promise<void>[] = []
    if (run.role !== 'trainer') roles.push(this.#validate({ ...options, alone: run.alone }))
    if (run.role !== 'validator') {
      // A peer that validates collects its garbage as a validator.
      const collectGarbage = run.role === 'trainer'
      roles.push(this.#train({ ...options, collectGarbage }))
    }
    try {
      await Promise.all(roles)
    } catch (error) {
      failed.abort()
      await Promise.allSettled(roles)
      throw error
    }
  }

  /** Stays until all that are there, or were just now, have the last head, or have had time for it. */
  async linger(): Promise<void> {
    const head = this.#head
    const { training } = this.#parts.node
    if (head === undefined) return
    for (const end = performance.now() + LINGER_MS; performance.now() < end;) {
      const have = new Set(providersOf(training.announcements, head))
      if ([...this.#seen.keys()].every((peer) => have.has(peer))) return
      await sleep(100, undefined, { signal: this.#parts.signal })
    }
  }

  /** Notes which peers train or validate, and forgets those that have been gone for longer than a restart takes. */
  #look(): void {
    const now = performance.now()
    for (const { peerId, roles = [] } of this.#parts.node.training.peers) {
      const takesPart = roles.some((role) => role === 'Validator' || role.startsWith('Trainer'))
      if (takesPart) this.#seen.set(peerId, now)
    }
    for (const [peerId, at] of this.#seen) if (now - at > LINGER_MS) this.#seen.delete(peerId)
  }

  /** Undefined for a peer that never had a head. */
  summary(idleLoopDelayP99Ms: number): NodeSummary | undefined {
    const { training } = this.#parts.node
    const head = this.#head
    this.#delay.stop()
    clearInterval(this.#watch)
    if (head === undefined) return undefined
    return {
      head: head.head_id,
      step: head.global_step,
      accuracy: numericMetric(head.metrics, 'accuracy'),
      loss: numericMetric(head.metrics, 'loss'),
      artifact: head.artifact_id,
      model: this.#model,
      windows: this.#windows,
      promoted: this.#promoted,
      seconds: (performance.now() - this.#began) / 1000,
      ...training.traffic,
      loopDelayP99Ms: this.#delay.p99(),
      idleLoopDelayP99Ms,
    }
  }

  async #validate(options: Parameters<typeof validateOnSwarm>[1]): Promise<void> {
    const { workload, experiment, node, run, signal } = this.#parts
    // Who joins others has no head of its own to begin with.
    while (run.join.length > 0 && node.training.peers.length === 0 && !(await this.#hasHead())) {
      await sleep(100, undefined, { signal })
    }
    const parts = { project: workload.project, experiment, swarm: node.training }
    for await (const event of validateOnSwarm(parts, options)) await this.#tell(event)
  }

  async #hasHead(): Promise<boolean> {
    return (await this.#parts.node.training.store.pinnedHeads()).size > 0
  }

  async #train(options: Parameters<typeof trainOnSwarm>[1]): Promise<void> {
    for await (const event of trainOnSwarm(await this.#trainerParts(), options)) {
      await this.#tell(event)
    }
  }

  async #trainerParts(): Promise<TrainerParts> {
    const { run, workload, experiment, node } = this.#parts
    const { project } = workload
    const registration = await project.datasetRegistration()
    const plan = await project.microshardPlan(registration)
    const datasets = join(run.folder, 'datasets')
    await makeFolder(datasets, 'none')
    const { keep_local_state, canonical_reconcile } = run.config.training
    const keeps = keep_local_state && canonical_reconcile !== 'Replace'
    const { training } = node
    const folder = join(run.folder, 'training-state')
    return {
      ...{ project, experiment, swarm: training, registration, plan },
      cache: new ShardCache(datasets),
      planner: new LeasePlanner(),
      localState: keeps ? new LocalState(folder, project, training.peerId) : null,
    }
  }

  async #tell(event: TrainingEvent): Promise<void> {
    const { report } = this.#parts
    switch (event.event) {
      case 'resumed':
      case 'adopted':
        if (await this.#keep(event.head)) report({ event: event.event, ...workedOn(event.head) })
        break
      case 'promoted': {
        const { head, from } = event.promotion
        this.#promoted += 1
        await this.#keep(head)
        // Promotions are told of every peer, but a genesis is none.
        if (from === 'genesis') report({ event: 'adopted', ...workedOn(head) })
        break
      }
      case 'window':
        this.#windows += 1
        report({ event: 'window', ...peerWindow(event.window, event.contribution) })
        break
      case 'problem':
        report({ event: 'problem', ...describeError(event.error) })
        break
      default:
        report(event)
    }
  }

  /** Puts the head's model into the folder, unless it is there. */
  async #keep(head: HeadDescriptor): Promise<boolean> {
    if (this.#head?.artifact_id === head.artifact_id) return false
    this.#head = head
    const { store } = this.#parts.node.training
    const artifact = await store.loadManifest(head.artifact_id)
    await store.materializeArtifactFile(artifact, this.#model)
    return true
  }
}

function workedOn({ head_id, global_step, artifact_id }: HeadDescriptor) {
  return { head: head_id, step: global_step, artifact: artifact_id }
}
