/** Overlays: the topics over which announcements travel (spec network#protocol-ids and network-records#announcements). */

import type { Infer } from '../../codec.js'
import { optional, record } from '../../containers.js'
import { ExperimentId, NetworkId, StudyId } from '../../ids.js'
import { text } from '../../primitives.js'
import { names } from '../../variants.js'

/** What an overlay carries. */
export const OverlayChannel = names(
  'OverlayChannel',
  'Control',
  'Heads',
  'Leases',
  'Metrics',
  'Telemetry',
  'Alerts',
)
export type OverlayChannel = Infer<typeof OverlayChannel>

/** An overlay; `path` is the name of the gossip topic. Only the control overlay has neither study nor experiment. */
export const OverlayTopic = record('OverlayTopic', {
  network_id: NetworkId,
  study_id: optional(StudyId),
  experiment_id: optional(ExperimentId),
  channel: OverlayChannel,
  path: text,
})
export type OverlayTopic = Infer<typeof OverlayTopic>

/** The overlay of a whole network. */
export function controlOverlay(network: NetworkId): OverlayTopic {
  return {
    network_id: network,
    study_id: null,
    experiment_id: null,
    channel: 'Control',
    path: `/burn-p2p/${network}/control`,
  }
}

/** An overlay of one experiment. */
export function experimentOverlay(
  of: {
    readonly network_id: NetworkId
    readonly study_id: StudyId
    readonly experiment_id: ExperimentId
  },
  channel: Exclude<OverlayChannel, 'Control'>,
): OverlayTopic {
  const { network_id, study_id, experiment_id } = of
  const path = `/burn-p2p/${network_id}/study/${study_id}/exp/${experiment_id}/${channel.toLowerCase()}`
  return { network_id, study_id, experiment_id, channel, path }
}
