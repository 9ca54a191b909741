/** Nodes of js-libp2p for tests, each of which stops with its test. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Libp2p } from '@libp2p/interface'
import { streamOpener, exchange, type RequestOptions } from '../../lib/p2p/control/exchange.js'
import { loadOrCreateIdentity } from '../../lib/p2p/identity.js'
import { controlProtocol } from '../../lib/p2p/names.js'
import { createLibp2pNode, type Libp2pNodeOptions, type NodeServices } from '../../lib/p2p/node.js'

export const NETWORK = 'net-test'

export type TestNode = Libp2p<NodeServices>

/** What is undone after each test, the last first. */
const undo: (() => Promise<unknown>)[] = []

afterEach(async function () {
  this.timeout(20_000)
  for (let act = undo.pop(); act !== undefined; act = undo.pop()) await act()
})

export function afterTest(act: () => Promise<unknown>): void {
  undo.push(act)
}

/** A new folder that is deleted after the test. */
export async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'torchbed-p2p-'))
  afterTest(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A started node with a new key. */
export async function startNode(
  options: Partial<Libp2pNodeOptions<Record<string, never>>> = {},
): Promise<TestNode> {
  const privateKey = await loadOrCreateIdentity(join(await testFolder(), 'identity.key'))
  const node = await createLibp2pNode({ network: NETWORK, privateKey, ...options })
  afterTest(async () => node.stop())
  return node
}

/** What gossipsub, identify and requests of a test see of a node's connections. */
export function controlOf(node: TestNode, network = NETWORK) {
  const open = streamOpener(
    {
      openStream: (peer, protocol, { signal, maxOutboundStreams = 64 } = {}) =>
        node.dialProtocol(peer, protocol, { maxOutboundStreams, ...(signal && { signal }) }),
    },
    controlProtocol(network),
  )
  return (peerId: string, request: Uint8Array, options?: RequestOptions) =>
    exchange((signal) => open(peerId, signal), peerId, request, options)
}

/** Waits until something holds; the test's own time limit ends it. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10))
}
