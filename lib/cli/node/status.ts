/** `torchbed node status` and `torchbed node peers`: what the node of a folder is doing. */

import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { PeerConduct } from '../../p2p/index.js'
import { addCommonOptions, type CommonOptions } from '../common-options.js'
import { ExitCode } from '../exit-code.js'
import { describeError, exitCodeOf, printError } from '../report-error.js'
import { byteSize } from '../text/byte-size.js'
import { jsonDocument } from '../text/json-document.js'
import { printable } from '../text/printable.js'
import { table } from '../text/table.js'
import { readStatus, type NodeStatus } from './status-file.js'

interface StatusOptions extends CommonOptions {
  folder: string
}

type Read = NodeStatus & { readonly running: boolean }

/** Adds `torchbed node status` and `torchbed node peers` to the command `node`. */
export function addStatusCommands(node: Command): void {
  add(node, 'status', 'what the node of a folder is doing', statusLines, (status) => {
    const { peers, conduct, ...rest } = status
    return { ...rest, peers: peers.length, misbehaving: conduct.length }
  })
  add(node, 'peers', 'who is connected with it, and who misbehaved', peerLines, (status) => ({
    ...{ running: status.running, peers: status.peers, conduct: status.conduct },
    refusedRecords: status.refusedRecords,
  }))
}

function add(
  node: Command,
  name: string,
  summary: string,
  lines: (status: Read) => string[],
  document: (status: Read) => object,
): void {
  const command = node
    .command(name)
    .summary(summary)
    .description(`Shows ${summary}, from its files: a second old at most while it runs.`)
    .option('--folder <dir>', 'folder of the node', 'torchbed-node')
  addCommonOptions(command, 'print one JSON document on stdout', 'print only errors').action(
    async (options: StatusOptions) => {
      try {
        const status = await readStatus(resolve(options.folder))
        if (options.json) process.stdout.write(jsonDocument(document(status)))
        else if (!options.quiet) process.stdout.write(`${lines(status).join('\n')}\n`)
        process.exitCode = ExitCode.done
      } catch (error) {
        const report = describeError(error)
        if (options.json) process.stdout.write(jsonDocument({ error: report }))
        printError(report)
        process.exitCode = exitCodeOf(error)
      }
    },
  )
}

function statusLines(status: Read): string[] {
  const { role, peerId, network, running, peers, heads, promotions } = status
  const banned = status.conduct.filter(({ ban }) => ban !== undefined).length
  return [
    `${role} ${printable(peerId)} of network ${printable(network)}, ${running ? 'running' : 'stopped'}`,
    `${peers.length} peers, ${banned} kept away; ${heads} heads, ${promotions} promotions`,
    `${byteSize(status.sentBytes)} sent, ${byteSize(status.fetchedBytes)} fetched`,
    ...refusedLines(status),
  ]
}

function peerLines(status: Read): string[] {
  const rows = status.peers.map(({ peerId, roles, answeredInMs, agent }) => [
    printable(peerId),
    (roles ?? []).map((role) => printable(role)).join(' ') || '-',
    answeredInMs === undefined ? '-' : `${Math.round(answeredInMs)} ms`,
    printable(agent),
  ])
  const wrong = status.conduct.flatMap((of) => conductLines(of))
  return [
    ...(rows.length > 0 ? table(rows, ['left', 'left', 'right', 'left'], 0) : ['No peers.']),
    ...(wrong.length > 0 ? ['Misbehaved:', ...wrong] : []),
    ...refusedLines(status),
  ]
}

function conductLines({ peerId, faults, last, ban }: PeerConduct): string[] {
  const counts = Object.entries(faults).map(([fault, count]) => `${fault} ${count}`)
  const until = ban && `, kept away until ${new Date(ban.until).toISOString()}`
  return [`  ${printable(peerId)}: ${counts.join(', ')}${until ?? ''}`, `    ${printable(last)}`]
}

function refusedLines({ refusedRecords }: Read): string[] {
  const counts = Object.entries(refusedRecords).map(([fault, count]) => `${fault} ${count}`)
  return counts.length > 0 ? [`Records refused: ${counts.join(', ')}`] : []
}
