/** The events of `torchbed node` as lines for people. */

import { errorLines } from '../report-error.js'
import type { Metrics } from '../../schema/index.js'
import { byteSize } from '../text/byte-size.js'
import { definitions } from '../text/definitions.js'
import { printable } from '../text/printable.js'
import { shortPath } from '../text/short-path.js'
import { columnsOf } from '../text/terminal.js'
import type { NodeEvent, NodeSummary } from './events.js'

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
      const head = `head ${printable(event.head)}  step ${event.step}`
      return [[head, ...results(event.metrics)].join('  ')]
    }
    case 'promoted': {
      const step = event.step === null ? [] : [`step ${event.step}`]
      const what = [`promoted ${printable(event.head)}`, ...step, ...results(event.metrics)]
      return [`${what.join('  ')}  by ${short(event.by)}`]
    }
    case 'prepared':
      return [`${shortPath(event.script)} made the shards in ${shortPath(event.root)}`]
    case 'start':
      return [
        `${printable(event.workload)} on ${printable(event.device)}, Python ${event.python} (${event.executable})`,
      ]
    case 'resumed':
      return [`Resuming from ${printable(event.head)}, step ${event.step}`]
    case 'adopted':
      return [`works on ${printable(event.head)}, step ${event.step}`]
    case 'window': {
      const { window, metrics, microshards, seconds } = event
      const shards = `${microshards} shards in ${seconds.toFixed(1)} s`
      return [[`trained window ${window}`, ...results(metrics), shards].join('  ')]
    }
    case 'overtaken':
      return [`window ${event.window} was promoted without this peer, which leases less next time`]
    case 'waiting':
      return [`has waited ${event.seconds} s for ${WAITED_FOR[event.for]}`]
    case 'dropped':
      return [
        `window ${event.window} leaves out ${short(event.peer_id)}: ${event.reason}, ${printable(event.message)}`,
      ]
    case 'local_state_missing':
      return [
        `continues without its own state of window ${event.window}: ${printable(event.message)}`,
      ]
    case 'summary':
      return summaryLines(event)
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

const WAITED_FOR = {
  head: 'a head to train on',
  updates: 'an update to merge',
  peers:
    'half of the peers that took part recently, so that the network does not split; --alone does not wait',
} as const

/** What of the metrics tells how good a model is. */
function results({ loss, accuracy }: Metrics): string[] {
  return [
    ...(typeof loss === 'number' ? [`loss ${loss.toFixed(4)}`] : []),
    ...(typeof accuracy === 'number' ? [`accuracy ${accuracy.toFixed(4)}`] : []),
  ]
}

function summaryLines(summary: NodeSummary): string[] {
  const { accuracy, loss, windows, promoted, seconds, sentBytes, fetchedBytes } = summary
  const rows: [string, string][] = [
    ...(accuracy === null ? [] : [['accuracy', accuracy.toFixed(4)] as [string, string]]),
    ...(loss === null ? [] : [['loss', loss.toFixed(4)] as [string, string]]),
    ['canonical head', `${printable(summary.head)} (step ${summary.step})`],
    ['windows', `${windows} trained, ${promoted} promoted in ${seconds.toFixed(1)} s`],
    ['artifacts', `${byteSize(sentBytes)} sent, ${byteSize(fetchedBytes)} fetched`],
    ['model', summary.model],
  ]
  return definitions(rows, columnsOf(process.stdout))
}
