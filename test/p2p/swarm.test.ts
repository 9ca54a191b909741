/** Peers of ours on loopback are a swarm, as those of one process are. */
import type { NodeOptions, TrainingNode } from '../../lib/p2p/create-node.js'
import type { Swarm } from '../../lib/swarm/index.js'
import { CONTRACT, describeSwarm } from '../swarm/contract.js'
import { startPeer } from './peers.js'

const nodes = new Map<Swarm, TrainingNode>()

async function join(): Promise<Swarm> {
  const bootstrap = [...nodes.values()].flatMap(({ addresses }) => addresses)
  const options: Partial<NodeOptions> = { ...CONTRACT, roles: ['TrainerCpu'], bootstrap }
  const node = await startPeer(options)
  nodes.set(node.training, node)
  return node.training
}

describe('a network of libp2p', () => {
  afterEach(() => nodes.clear())

  describeSwarm('a node', {
    async start(count) {
      const started: Swarm[] = []
      while (started.length < count) started.push(await join())
      return started
    },
    late: join,
    async leave(swarm) {
      await nodes.get(swarm)?.stop()
    },
  })
})
