import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AbortError } from '../../lib/errors.js'
import { timestampNow, type HeadDescriptor } from '../../lib/schema/index.js'
import { chunkingScheme, FsArtifactStore } from '../../lib/store/index.js'
import {
  archiveHeads,
  experimentOverlay,
  LocalNetwork,
  mergeCertId,
  type ArchiveOptions,
  type Swarm,
} from '../../lib/swarm/index.js'
import { SERVE_HEAD } from '../store/support.js'

const EXPERIMENT = { network_id: 'net', study_id: 'study', experiment_id: 'exp' }
const SCOPE = { study_id: 'study', experiment_id: 'exp', revision_id: 'rev' }
const overlay = experimentOverlay(EXPERIMENT, 'Heads')

/** A head with an artifact of its own, in the peer's store and on offer. */
async function makeHead(swarm: Swarm, head_id: string): Promise<HeadDescriptor> {
  const artifact = await swarm.store.storeArtifactBytes(
    { ...SERVE_HEAD, head_id },
    Buffer.from(`weights of ${head_id}`),
    chunkingScheme(4),
  )
  swarm.provide(artifact)
  const { artifact_id } = artifact
  const created_at = timestampNow()
  const rest = { parent_head_id: 'base', global_step: 1, created_at, metrics: {} }
  return { head_id, ...SCOPE, artifact_id, ...rest }
}

const announceHead = (swarm: Swarm, head: HeadDescriptor) =>
  swarm.announce({
    Head: { overlay, provider_peer_id: swarm.peerId, head, announced_at: timestampNow() },
  })

function promote(swarm: Swarm, { head_id, artifact_id }: HeadDescriptor): Promise<void> {
  const of = { ...SCOPE, base_head_id: 'base', merged_head_id: head_id }
  const promoter_peer_id = swarm.peerId
  const certificate = {
    ...of,
    merge_cert_id: mergeCertId({ ...of, promoter_peer_id }),
    merged_artifact_id: artifact_id,
    policy: 'WeightedMean' as const,
    issued_at: timestampNow(),
    promoter_peer_id,
    promotion_mode: 'ValidatorQuorum' as const,
    contribution_receipts: [],
  }
  return swarm.announce({ Merge: { overlay, certificate, announced_at: timestampNow() } })
}

describe('an archive', () => {
  let folder: string
  let network: LocalNetwork
  let stop: AbortController
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-archive-'))
    network = new LocalNetwork('net')
    stop = new AbortController()
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  const peer = (name: string) => {
    const store = new FsArtifactStore(join(folder, name), { durability: 'none' })
    return network.join(name, { store, roles: ['Archive'] })
  }

  /** An archive at work, what it has kept so far, and its end. */
  function archive(swarm: Swarm, options: ArchiveOptions = {}) {
    const kept: string[] = []
    const problems: string[] = []
    const end = archiveHeads(swarm, {
      signal: stop.signal,
      onKept: ({ head_id }) => kept.push(head_id),
      onProblem: (head, error) => problems.push(`${head}: ${String(error)}`),
      ...options,
    })
    return { kept, problems, end }
  }

  const until = async (holds: () => boolean) => {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  it('keeps a promoted head that outlives its maker, and offers it to others', async () => {
    const maker = peer('maker')
    const keeper = peer('keeper')
    const { kept, end } = archive(keeper)
    const head = await makeHead(maker, 'head-1')
    await promote(maker, head)
    await announceHead(maker, head)
    await until(() => kept.length === 1)
    maker.leave()
    const late = peer('late')
    const providers = late.announcements
      .of('Head')
      .map(({ provider_peer_id }) => provider_peer_id)
      .filter((id) => id !== null)
    const { artifact } = await late.fetch(head.artifact_id, providers)
    const bytes = await late.store.materializeArtifactBytes(artifact)
    assert.equal(Buffer.from(bytes).toString(), 'weights of head-1')
    assert.deepEqual(await keeper.store.loadHead('head-1'), head)
    stop.abort()
    await assert.rejects(end, AbortError)
  })

  it('keeps none that is not promoted, and not another that goes by the name of one', async () => {
    const maker = peer('maker')
    const { kept, problems, end } = archive(peer('keeper'))
    await announceHead(maker, await makeHead(maker, 'candidate'))
    const head = await makeHead(maker, 'head-1')
    await announceHead(maker, { ...head, artifact_id: 'another' })
    await promote(maker, head)
    await announceHead(maker, head)
    await until(() => kept.length > 0)
    assert.deepEqual([kept, problems], [['head-1'], []])
    stop.abort()
    await assert.rejects(end, AbortError)
  })

  it('says why it cannot keep a head, and does so when another peer offers it', async () => {
    const maker = peer('maker')
    const { kept, problems, end } = archive(peer('keeper'))
    const head = await makeHead(maker, 'head-1')
    maker.leave()
    const other = peer('other')
    await other.announce({
      Head: { overlay, provider_peer_id: 'maker', head, announced_at: timestampNow() },
    })
    await promote(other, head)
    await until(() => problems.length > 0)
    assert.match(problems[0]!, /^head-1: .*maker does not offer it/)
    await makeHead(other, 'head-1')
    await announceHead(other, head)
    await until(() => kept.length === 1)
    stop.abort()
    await assert.rejects(end, AbortError)
  })

  it('tries again by itself when a head could not be fetched', async () => {
    const maker = peer('maker')
    const { kept, problems, end } = archive(peer('keeper'))
    const artifact = await maker.store.storeArtifactBytes(
      SERVE_HEAD,
      Buffer.from('weights'),
      chunkingScheme(4),
    )
    const { artifact_id } = artifact
    const created_at = timestampNow()
    const rest = { parent_head_id: 'base', global_step: 1, created_at, metrics: {} }
    const head = { head_id: 'head-1', ...SCOPE, artifact_id, ...rest }
    await announceHead(maker, head)
    await promote(maker, head)
    await until(() => problems.length > 0)
    maker.provide(artifact)
    await until(() => kept.length === 1)
    stop.abort()
    await assert.rejects(end, AbortError)
  })

  it('keeps the last ones, and gives the room of the others back', async () => {
    const maker = peer('maker')
    const keeper = peer('keeper')
    const { kept, end } = archive(keeper, { keep: 2 })
    for (const name of ['head-1', 'head-2', 'head-3']) {
      const head = await makeHead(maker, name)
      await promote(maker, head)
      await announceHead(maker, head)
      await until(() => kept.includes(name))
    }
    stop.abort()
    await assert.rejects(end, AbortError)
    const pins = [...(await keeper.store.pinnedHeads())].sort()
    assert.deepEqual(pins, ['head-2', 'head-3'])
  })

  it('ends when its peer leaves', async () => {
    const keeper = peer('keeper')
    const { end } = archive(keeper)
    keeper.leave()
    await end
  })
})
