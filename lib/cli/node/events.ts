/** What `torchbed node` tells, one event at a time. docs/reference/cli.md lists them. */

import type { Metrics } from '../../schema/index.js'
import type { PeerRole } from '../../swarm/index.js'
import type { TrainingEvent } from '../../training/events.js'
import type { ErrorReport } from '../report-error.js'
import type { PeerWindow } from '../train/events.js'

/** The roles, with what they call themselves in the network. */
export const ROLES = {
  viewer: ['Viewer'],
  archive: ['Archive'],
  bootstrap: ['Bootstrap'],
  trainer: ['TrainerCpu'],
  validator: ['Validator'],
  peer: ['TrainerCpu', 'Validator'],
} as const satisfies Readonly<Record<string, readonly PeerRole[]>>

export type Role = keyof typeof ROLES

/** Whether a role trains or validates, which takes the workload of a config. */
export function needsWorkload(role: Role): boolean {
  return role === 'trainer' || role === 'validator' || role === 'peer'
}

/** An event, as `--json` prints it. */
export type NodeEvent =
  | {
      readonly event: 'listening'
      readonly network: string
      readonly peerId: string
      readonly role: string
      readonly addresses: readonly string[]
    }
  | { readonly event: 'peer'; readonly peerId: string; readonly agent: string }
  | { readonly event: 'left'; readonly peerId: string }
  | {
      readonly event: 'head'
      readonly head: string
      readonly step: number
      readonly artifact: string
      readonly provider: string | null
      readonly metrics: Metrics
    }
  | {
      readonly event: 'promoted'
      readonly head: string
      /** Null while the head itself has not been heard of; `metrics` then is empty. */
      readonly step: number | null
      readonly by: string
      readonly artifact: string
      readonly metrics: Metrics
    }
  | {
      readonly event: 'kept'
      readonly head: string
      readonly artifact: string
      readonly bytes: number
      readonly fetchedBytes: number
      readonly milliseconds: number
    }
  | {
      readonly event: 'start'
      readonly workload: string
      readonly device: string
      readonly python: string
      readonly executable: string
      readonly experiment: string
      readonly idleLoopDelayP99Ms: number
    }
  /** This peer goes on from what it kept. */
  | ({ readonly event: 'resumed' } & WorkedOn)
  /** This peer has the canonical head, which it trains on or merges over. */
  | ({ readonly event: 'adopted' } & WorkedOn)
  /** This peer has published a window. */
  | ({ readonly event: 'window' } & PeerWindow)
  | (TrainingEvent & { event: 'overtaken' | 'waiting' | 'dropped' | 'local_state_missing' })
  | {
      readonly event: 'prepared'
      readonly script: string
      readonly root: string
      readonly seconds: number
    }
  | ({ readonly event: 'summary' } & NodeSummary)
  | ({ readonly event: 'problem' | 'error' } & ErrorReport)
  | { readonly event: 'interrupted'; readonly signal: string }

/** A head that a peer works on. */
interface WorkedOn {
  readonly head: string
  readonly step: number
  readonly artifact: string
}

/** What a peer that trained or validated leaves behind. */
export interface NodeSummary {
  /** The canonical head. */
  readonly head: string
  readonly step: number
  /** Of its evaluation; null when the workload reports none. */
  readonly accuracy: number | null
  readonly loss: number | null
  /** The same on every peer that has this head. */
  readonly artifact: string
  /** The head's model, for use elsewhere. */
  readonly model: string
  /** Windows that this peer published, and heads that it promoted. */
  readonly windows: number
  readonly promoted: number
  readonly seconds: number
  readonly sentBytes: number
  readonly fetchedBytes: number
  readonly loopDelayP99Ms: number
  readonly idleLoopDelayP99Ms: number
}

/** Shows events. */
export type NodeReporter = (event: NodeEvent) => void
