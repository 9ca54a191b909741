/** What a running node says of itself in `state/status.json`, and how `torchbed node status` and `peers` read it. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { ConfigError } from '../../errors.js'
import { writeFileAtomic } from '../../files/atomic-write.js'
import type { ConnectedPeer, Fault, PeerConduct, TrainingNode } from '../../p2p/index.js'

/** How often the file is written, in milliseconds. */
const STATUS_INTERVAL_MS = 1000

/** What a node says of itself. */
export interface NodeStatus {
  readonly network: string
  readonly peerId: string
  readonly role: string
  readonly addresses: readonly string[]
  readonly pid: number
  /** When it was written, in milliseconds since 1970. */
  readonly at: number
  readonly since: number
  readonly heads: number
  readonly promotions: number
  readonly sentBytes: number
  readonly fetchedBytes: number
  readonly peers: readonly ConnectedPeer[]
  /** Peers that did something wrong. */
  readonly conduct: readonly PeerConduct[]
  /** Records that were not taken, by reason. */
  readonly refusedRecords: Readonly<Partial<Record<Fault, number>>>
}

/** Keeps the file of a node up to date until the returned function is called. */
export function keepStatus(node: TrainingNode, folder: string, role: string): () => void {
  const since = Date.now()
  const write = () => {
    const { training } = node
    const status: NodeStatus = {
      ...{ network: training.network, peerId: training.peerId, role, addresses: node.addresses },
      ...{ pid: process.pid, at: Date.now(), since },
      heads: training.announcements.of('Head').length,
      promotions: training.announcements.of('Merge').length,
      ...training.traffic,
      ...{ peers: training.peers, conduct: training.conduct },
      refusedRecords: training.refusedRecords,
    }
    // A disk that is full is told by those that have something to write.
    writeFileAtomic(statusPath(folder), Buffer.from(JSON.stringify(status))).catch(() => undefined)
  }
  write()
  const timer = setInterval(write, STATUS_INTERVAL_MS)
  timer.unref()
  return () => clearInterval(timer)
}

/**
 * What the node of a folder said last, and whether it still runs.
 *
 * @throws ConfigError when there was never one
 */
export async function readStatus(
  folder: string,
): Promise<NodeStatus & { readonly running: boolean }> {
  try {
    const status = JSON.parse(await readFile(statusPath(folder), 'utf8')) as NodeStatus
    return { running: isRunning(status), ...status }
  } catch (cause) {
    const message = `no node has run in ${JSON.stringify(folder)}; name its folder with --folder`
    throw new ConfigError('Cannot show a node', [{ path: '--folder', message }], { cause })
  }
}

function isRunning({ pid, at }: NodeStatus): boolean {
  try {
    process.kill(pid, 0)
    // Another process may have the number by now.
    return Date.now() - at < 10 * STATUS_INTERVAL_MS
  } catch {
    return false
  }
}

function statusPath(folder: string): string {
  return join(folder, 'state', 'status.json')
}
