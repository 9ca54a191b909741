/** What happens in a run, in the words that `torchbed train --json` uses too (docs/guide/training.md). */

import type { HeadDescriptor, PeerId } from '../schema/index.js'
import type { LocalStateMissing } from './local-state.js'
import type { Dropped } from './screening.js'
import type { Contribution } from './trainer.js'
import type { Promotion } from './validator.js'

/** What happens in a run, in order. */
export type TrainingEvent =
  /** The run goes on from a canonical head of an earlier one. */
  | { readonly event: 'resumed'; readonly head: HeadDescriptor; readonly lineage: HeadDescriptor[] }
  /** After `resumed`: a peer goes on from the canonical model alone, so that the result may differ from a run never cut. */
  | ({
      readonly event: 'local_state_missing'
      /** The window whose state is missing. */
      readonly window: number
      readonly peer: PeerId
    } & LocalStateMissing)
  /** A peer has published its window. */
  | { readonly event: 'window'; readonly window: number; readonly contribution: Contribution }
  /** A head has become the canonical one; window 0 is the genesis. */
  | { readonly event: 'promoted'; readonly window: number; readonly promotion: Promotion }
  /** A peer of a swarm has the canonical head, and trains on it next. */
  | { readonly event: 'adopted'; readonly head: HeadDescriptor }
  /** A head was promoted before a peer of a swarm had published its window, which it has left. */
  | { readonly event: 'overtaken'; readonly window: number; readonly peer: PeerId }
  /** Nothing to do for so many seconds: no head to train on, no update to merge, or too few peers to promote among. */
  | {
      readonly event: 'waiting'
      readonly for: 'head' | 'updates' | 'peers'
      readonly seconds: number
    }
  /** What a peer announced cannot be used; the role goes on without it. */
  | { readonly event: 'problem'; readonly peer: PeerId | null; readonly error: unknown }
  /** A contribution that is not merged, and why. */
  | ({ readonly event: 'dropped'; readonly window: number } & Dropped)
