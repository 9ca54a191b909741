/** A peer of a network until it is stopped: what `torchbed node` does. */

import { setTimeout as sleep } from 'node:timers/promises'

import { ConfigError } from '../../errors.js'
import { makeFolder } from '../../files/make-folder.js'
import {
  createNode,
  type AdmissionOptions,
  type ExperimentScope,
  type TrainingNode,
} from '../../p2p/index.js'
import { archiveHeads } from '../../swarm/index.js'
import { describeError } from '../report-error.js'
import { ROLES, type NodeReporter, type Role } from './events.js'
import { keepStatus } from './status-file.js'

/** How a peer is run. */
export interface NodeRun {
  readonly network: string
  readonly experiments: readonly ExperimentScope[]
  readonly role: Role
  readonly folder: string
  readonly listen: readonly string[] | undefined
  readonly join: readonly string[]
  /** Its certificate, in a network that has them. */
  readonly admission?: AdmissionOptions | undefined
}

/** How often it is looked who is connected, in milliseconds. */
const PEERS_INTERVAL_MS = 500

/**
 * Runs a peer until the signal fires, and stops it then.
 *
 * @throws ConfigError when the folder cannot be made; the errors of `createNode`
 */
export async function runNode(
  run: NodeRun,
  report: NodeReporter,
  signal: AbortSignal,
): Promise<void> {
  const node = await startNode(run, report, signal)
  try {
    const work = [tellNetwork(node, report, signal)]
    if (run.role === 'archive') work.push(keepHeads(node, report, signal))
    await Promise.all(work)
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    await node.stop()
  }
}

/**
 * Starts a peer, and says where it listens.
 *
 * @throws as {@link runNode}
 */
export async function startNode(
  { role, join, ...options }: NodeRun,
  report: NodeReporter,
  signal: AbortSignal,
): Promise<TrainingNode> {
  await makeFolder(options.folder).catch((cause: unknown) => {
    const message = `${(cause as Error).message}; choose another folder with --folder`
    throw new ConfigError(`Cannot write to ${options.folder}`, [{ path: '--folder', message }], {
      cause,
    })
  })
  const node = await createNode({
    ...options,
    roles: ROLES[role],
    bootstrap: join,
    onProblem: (error) => {
      // What ends because this peer ends is no problem.
      if (!signal.aborted) report({ event: 'problem', ...describeError(error) })
    },
  })
  const { network, peerId } = node.training
  report({ event: 'listening', network, peerId, role, addresses: node.addresses })
  const endStatus = keepStatus(node, options.folder, role)
  signal.addEventListener('abort', endStatus, { once: true })
  return node
}

/**
 * Tells who is there, the heads and the promotions, until the signal fires.
 *
 * @throws AbortError
 */
export async function tellNetwork(
  node: TrainingNode,
  report: NodeReporter,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all([
    tellPeers(node, report, signal),
    tellHeads(node, report, signal),
    tellPromotions(node, report, signal),
  ])
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
    const { merged_head_id, merged_artifact_id } = certificate
    // A promoter announces the head before the promotion.
    const known = training.announcements.of('Head')
    const announced = known.find(
      ({ head }) => head.head_id === merged_head_id && head.artifact_id === merged_artifact_id,
    )
    report({
      event: 'promoted',
      head: merged_head_id,
      step: announced?.head.global_step ?? null,
      by: certificate.promoter_peer_id,
      artifact: merged_artifact_id,
      metrics: announced?.head.metrics ?? {},
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
