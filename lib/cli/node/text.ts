/** The events of `torchbed node` as lines for people. */

import { errorLines } from '../report-error.js'
import { byteSize } from '../text/byte-size.js'
import { printable } from '../text/printable.js'
import type { NodeEvent } from './events.js'

/** The end of a peer's id, which is what differs. */
const short = (peerId: string) => `…${printable(peerId).slice(-8)}`

/** An event as lines; those of others' texts are safe on a terminal. */
export function eventLines(event: NodeEvent): string[] {
  switch (event.event) {
    case 'listening': {
      const { network, peerId, role, addresses } = event
      const where = addresses.map(
        (address) => `  torchbed node --network ${printable(network)} --join ${address}`,
      )
      const how =
        where.length === 0 ? 'It listens nowhere: others cannot join it.' : 'Others join with'
      return [`${role} ${peerId} of network ${printable(network)}`, how, ...where]
    }
    case 'peer':
      return [`${short(event.peerId)} is connected (${printable(event.agent)})`]
    case 'left':
      return [`${short(event.peerId)} has left`]
    case 'head': {
      const { loss, accuracy } = event.metrics
      const metrics = [
        ...(typeof loss === 'number' ? [`loss ${loss.toFixed(4)}`] : []),
        ...(typeof accuracy === 'number' ? [`accuracy ${accuracy.toFixed(4)}`] : []),
      ]
      return [[`head ${printable(event.head)}  step ${event.step}`, ...metrics].join('  ')]
    }
    case 'promoted':
      return [`promoted ${printable(event.head)} by ${short(event.by)}`]
    case 'kept': {
      const { bytes, fetchedBytes, milliseconds } = event
      const rate = fetchedBytes > 0 && milliseconds > 0 ? (fetchedBytes / milliseconds) * 1000 : 0
      const how = rate > 0 ? ` at ${byteSize(rate)}/s` : ''
      return [`kept ${printable(event.head)}, ${byteSize(bytes)}${how}`]
    }
    case 'problem':
    case 'error':
      return errorLines(event)
    case 'interrupted':
      return [`Stopped by ${event.signal}.`]
  }
}
