import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError } from '../../lib/errors.js'
import { FsArtifactStore } from '../../lib/store/index.js'
import { LocalNetwork, type LocalSwarm, type Swarm } from '../../lib/swarm/index.js'
import { CONTRACT, describeSwarm } from './contract.js'

describe('a network of one process', () => {
  let folder: string
  let network: LocalNetwork
  let count = 0
  let joined: LocalSwarm[]
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-swarm-'))
    network = new LocalNetwork(CONTRACT.network)
    joined = []
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  const join_ = (): LocalSwarm => {
    const name = `peer-${(count += 1)}`
    const store = new FsArtifactStore(join(folder, name), { durability: 'none' })
    const swarm = network.join(name, { store, roles: ['TrainerCpu'] })
    joined.push(swarm)
    return swarm
  }

  describeSwarm('a local peer', {
    start: (count) => Promise.resolve(Array.from({ length: count }, join_)),
    late: () => Promise.resolve(join_()),
    leave: (swarm: Swarm) => {
      joined.find((member) => member === swarm)?.leave()
      return Promise.resolve()
    },
  })

  it('has each id once, and again when its peer has left', () => {
    const store = new FsArtifactStore(folder)
    const first = network.join('peer', { store, roles: [] })
    assert.throws(() => network.join('peer', { store, roles: [] }), ConfigError)
    first.leave()
    network.join('peer', { store, roles: [] })
    first.leave()
    assert.throws(() => network.join('peer', { store, roles: [] }), ConfigError)
  })

  it('fetches nothing between peers of one store', async () => {
    const store = new FsArtifactStore(folder, { durability: 'none' })
    const [first, second] = ['a', 'b'].map((name) => network.join(name, { store, roles: [] }))
    const spec = {
      ...{ kind: 'ServeHead' as const, head_id: 'head-1', precision: 'Fp32' as const },
      ...{ model_schema_hash: 'schema', record_format: 'safetensors' },
    }
    const artifact = await store.storeArtifactBytes(spec, Buffer.from('weights'))
    first!.provide(artifact)
    const report = await second!.fetch(artifact.artifact_id, ['a'])
    assert.equal(report.fetchedBytes, 0)
  })
})
