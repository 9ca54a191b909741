/** What a validator merges. */

import type {
  ArtifactDescriptor,
  ContributionReceipt,
  HeadDescriptor,
  PeerId,
} from '../schema/index.js'

/** A window of a peer that may be merged: a `Contribution` is one. Its artifact is in the validator's store. */
export interface Candidate {
  readonly peer_id: PeerId
  readonly head: HeadDescriptor
  readonly artifact: ArtifactDescriptor
  readonly receipt: ContributionReceipt
  readonly quality_weight: number
}
