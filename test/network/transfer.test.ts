/** Chunks between peers of ours: as they are, only what is offered, and believed no more than any others. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Registrar } from '@libp2p/interface-internal'
import { ControlResponse } from '../../lib/swarm/index.js'
import { chunkingScheme } from '../../lib/store/index.js'
import { SERVE_HEAD } from '../store/support.js'
import { readCbor } from '../schema/support/independent-cbor.js'
import { NETWORK, until } from '../p2p/nodes.js'
import { startPeer } from '../p2p/peers.js'
import { answer, cbor, HostilePeer, snapshot } from './hostile-peer.js'

const PROTOCOL = `/torchbed/${NETWORK}/transfer/1`

describe('a chunk between peers of ours', function () {
  this.timeout(60_000)
  const bytes = randomBytes(600_000)

  async function owner() {
    const peer = await startPeer()
    const scheme = chunkingScheme(262_144)
    const artifact = await peer.training.store.storeArtifactBytes(SERVE_HEAD, bytes, scheme)
    return { peer, artifact }
  }

  it('comes as it is, while its artifact is offered', async () => {
    const { peer, artifact } = await owner()
    const asking = await HostilePeer.start(peer)
    const [chunk] = artifact.chunks
    const request = cbor([artifact.artifact_id, chunk!.chunk_id])
    assert.deepEqual(await asking.ask(request, PROTOCOL), Buffer.of(0))
    const withdraw = peer.training.provide(artifact)
    const response = Buffer.from((await asking.ask(request, PROTOCOL))!)
    assert.equal(response[0], 1)
    assert.ok(response.subarray(1).equals(bytes.subarray(0, chunk!.length_bytes)))
    assert.deepEqual(await asking.ask(cbor([artifact.artifact_id, 'c1']), PROTOCOL), Buffer.of(0))
    withdraw()
    assert.deepEqual(await asking.ask(request, PROTOCOL), Buffer.of(0))
    for (const wrong of [cbor('a1'), cbor(['a1']), cbor(['a1', 'c1', 'c2']), new Uint8Array()]) {
      assert.equal(await asking.ask(wrong, PROTOCOL), undefined)
    }
    await until(() => asking.faults.malformed === 4)
  })

  it('of a liar is not believed; the liar is sent away, and the artifact comes from another', async () => {
    const { peer, artifact } = await owner()
    peer.training.provide(artifact)
    const fetcher = await startPeer({ bootstrap: peer.addresses })
    await until(() => fetcher.training.peers.length === 1)
    const manifest = ControlResponse.toWireCbor({ ArtifactManifest: artifact })
    let asked = 0
    const liar = await HostilePeer.start(
      fetcher,
      (request, stream) => answer(stream, readCbor(request) instanceof Map ? manifest : snapshot()),
      async (registrar: Registrar) => {
        await registrar.handle(PROTOCOL, async (stream) => {
          asked += 1
          await answer(stream, Buffer.concat([Buffer.of(1), randomBytes(262_144)]))
        })
      },
    )
    await until(() => fetcher.training.peers.length === 2)
    const report = await fetcher.training.fetch(artifact.artifact_id, [liar.peerId, peer.peerId])
    assert.ok(asked > 0, 'it is asked for bytes as they are')
    assert.ok(bytes.equals(await fetcher.training.store.materializeArtifactBytes(report.artifact)))
    await until(() => liar.ban === 'false-chunk')
  })
})
