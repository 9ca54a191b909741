/** Signed orders to a network: commands, lifecycle plans, schedules (spec network-records#control-certificates). */

import type { Infer } from '../../codec.js'
import { record, textSet } from '../../containers.js'
import { ContentId, NetworkId, WindowId } from '../../ids.js'
import { u64 } from '../../primitives.js'
import { anyValue } from '../../values.js'
import { signedPayload } from './signed.js'

/** From which window an order holds, and for how many windows the old state is tolerated. */
export const ActivationTarget = record('ActivationTarget', {
  activation_window: WindowId,
  grace_windows: u64,
})
export type ActivationTarget = Infer<typeof ActivationTarget>

/**
 * A signed order. What it orders is kept as it came, because its form depends on the schema: `burn_p2p.control`,
 * `burn_p2p.lifecycle` or `burn_p2p.schedule`. No peer of the reference verifies the signature.
 */
export const ControlCertificate = record('ControlCertificate', {
  control_cert_id: ContentId,
  network_id: NetworkId,
  activation: ActivationTarget,
  required_client_capabilities: textSet(),
  body: signedPayload(anyValue),
})
export type ControlCertificate = Infer<typeof ControlCertificate>
