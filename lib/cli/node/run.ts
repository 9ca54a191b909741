/** A peer of a network until it is stopped: what `torchbed node` does. */

import { setTimeout as sleep } from 'node:timers/promises'

import { ConfigError } from '../../errors.js'
import { makeFolder } from '../../files/make-folder.js'
import { createNode, type ExperimentScope, type TrainingNode } from '../../p2p/index.js'
import { archiveHeads, type PeerRole } from '../../swarm/index.js'
import { describeError } from '../report-error.js'
import { ROLES, type NodeReporter } from './events.js'

/** How a peer is run. */
export interface NodeRun {
  readonly network: string
  readonly experiments: readonly ExperimentScope[]
  readonly role: keyof typeof ROLES
  readonly folder: string
  readonly listen: readonly string[] | undefined
  readonly join: readonly string[]
}

/** How often it is looked who is connected, in milliseconds. */
const PEERS_INTERVAL_MS = 500

/**
 * Runs a peer until the signal fires, and stops it then.
 *
 * @throws ConfigError when the folder cannot be made; the errors of `createNode`
 */
export async function runNode(
  { role, join, ...options }: NodeRun,
  report: NodeReporter,
  signal: AbortSignal,
): Promise<void> {
  await makeFolder(options.folder).catch((cause: unknown) => {
    const message = `${(cause as Error).message}; choose another folder with --folder`
    throw new ConfigError(`Cannot write to ${options.folder}`, [{ path: '--folder', message }], {
      cause,
    })
  })
  const roles: readonly PeerRole[] = [ROLES[role]]
  const node = await createNode({
    ...options,
    roles,
    bootstrap: join,
    onProblem: (error) => {
      // What ends because this peer ends is no problem.
      if (!signal.aborted) report({ event: 'problem', ...describeError(error) })
    },
  })
  try {
    const { network, peerId } = node.training
    report({ event: 'listening', network, peerId, role, addresses: node.addresses })
    const work = [tellHeads(node, report, signal), tellPromotions(node, report, signal)]
    if (role === 'archive') work.push(keepHeads(node, report, signal))
    await Promise.all([...work, tellPeers(node, report, signal)])
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    await node.stop()
  }
}

async function tellPeers(
  { training }: TrainingNode,
  report: NodeReporter,
  signal: AbortSignal,
): Promise<void> {
  const known = new Set<string>()
  for (;;) {
    const connected = new Set(training.peers.map(({ peerId }) => peerId))
    for (const { peerId, agent } of training.peers) {
      if (!known.has(peerId)) report({ event: 'peer', peerId, agent })
      known.add(peerId)
    }
    for (const peerId of known) {
      if (connected.has(peerId)) continue
      known.delete(peerId)
      report({ event: 'left', peerId })
    }
    await sleep(PEERS_INTERVAL_MS, undefined, { signal })
  }
}

async function tellHeads(
  { training }: TrainingNode,
  report: NodeReporter,
  signal: AbortSignal,
): Promise<void> {
  const told = new Set<string>()
  for await (const { head, provider_peer_id } of training.announcements.follow('Head', {
    signal,
  })) {
    // Peers that offer it too announce it again.
    if (told.has(head.head_id)) continue
    told.add(head.head_id)
    report({
      event: 'head',
      head: head.head_id,
      step: head.global_step,
      artifact: head.artifact_id,
      provider: provider_peer_id,
      metrics: head.metrics,
    })
  }
}

async function tellPromotions(
  { training }: TrainingNode,
  report: NodeReporter,
  signal: AbortSignal,
): Promise<void> {
  for await (const { certificate } of training.announcements.follow('Merge', { signal })) {
    report({
      event: 'promoted',
      head: certificate.merged_head_id,
      by: certificate.promoter_peer_id,
    })
  }
}

function keepHeads(
  { training }: TrainingNode,
  report: NodeReporter,
  signal: AbortSignal,
): Promise<void> {
  return archiveHeads(training, {
    signal,
    onKept: ({ head_id }, { artifact, fetchedBytes, milliseconds }) =>
      report({
        event: 'kept',
        head: head_id,
        artifact: artifact.artifact_id,
        bytes: artifact.bytes_len,
        fetchedBytes,
        milliseconds: Math.round(milliseconds),
      }),
    onProblem: (_head, error) => report({ event: 'problem', ...describeError(error) }),
  })
}
