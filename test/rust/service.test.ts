/** Whole peers of ours and real peers of burn_p2p: snapshots, gossip and artifacts, both ways. */
import assert from 'node:assert/strict'
import { archiveHeads } from '../../lib/swarm/index.js'
import { until } from '../p2p/nodes.js'
import { headsOf, startPeer } from '../p2p/peers.js'
import { RustPeer, rustDescribe } from './peer.js'

rustDescribe('a peer of ours among Rust peers', function () {
  this.timeout(90_000)

  it('knows their heads from a snapshot and from gossip, and fetches what they trained', async () => {
    const validator = await RustPeer.start({ mode: 'validator' })
    const genesis = await validator.event('genesis')
    const ours = await startPeer({ roles: ['Viewer'], bootstrap: validator.addresses })
    await until(() => headsOf(ours).includes(String(genesis.head)))
    const trainer = await RustPeer.start({
      mode: 'trainer',
      bootstrap: validator.addresses,
      windows: 2,
    })
    const promoted = await validator.event('promoted', ({ step }) => step === 2)
    await until(() => headsOf(ours).includes(String(promoted.head)))
    const merges = ours.training.announcements.of('Merge')
    assert.ok(merges.some(({ certificate }) => certificate.merged_head_id === promoted.head))
    assert.ok(ours.training.announcements.of('Update').length >= 2)
    const from = [validator.peerId, trainer.peerId]
    const { artifact } = await ours.training.fetch(String(promoted.artifact), from)
    const model = await ours.training.store.materializeArtifactBytes(artifact)
    const { model: expected } = promoted.metrics as { readonly model: number }
    assert.equal(JSON.parse(Buffer.from(model).toString()), expected)
    assert.deepEqual(ours.problems, [])
  })

  it('keeps as an archive what a Rust validator promotes, and offers it when that is gone', async () => {
    const validator = await RustPeer.start({ mode: 'validator' })
    await validator.event('genesis')
    const ours = await startPeer({ roles: ['Archive'], bootstrap: validator.addresses })
    const kept: string[] = []
    const keeping = archiveHeads(ours.training, { onKept: ({ head_id }) => kept.push(head_id) })
    await RustPeer.start({ mode: 'trainer', bootstrap: validator.addresses, windows: 1 })
    const promoted = await validator.event('promoted', ({ step }) => step === 1)
    await until(() => kept.includes(String(promoted.head)))
    await validator.stop()
    const late = await startPeer({ roles: ['Viewer'], bootstrap: ours.addresses })
    await until(() => headsOf(late).includes(String(promoted.head)))
    const { artifact } = await late.training.fetch(String(promoted.artifact), [ours.peerId])
    const model = await late.training.store.materializeArtifactBytes(artifact)
    const { model: expected } = promoted.metrics as { readonly model: number }
    assert.equal(JSON.parse(Buffer.from(model).toString()), expected)
    await ours.stop()
    await keeping
  })

  it('fetches a large artifact from a Rust peer, chunk by chunk', async () => {
    const validator = await RustPeer.start({ mode: 'validator', ballast_bytes: 8_000_000 })
    const genesis = await validator.event('genesis')
    const ours = await startPeer({ roles: ['Viewer'], bootstrap: validator.addresses })
    await until(() => ours.training.peers.length === 1)
    const { fetchedBytes, milliseconds, sources } = await ours.training.fetch(
      String(genesis.artifact),
      [validator.peerId],
    )
    assert.ok(fetchedBytes > 8_000_000 && milliseconds > 0)
    assert.equal(sources[0]!.failures, 0)
  })
})
