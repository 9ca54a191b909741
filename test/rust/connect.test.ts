/** A node of ours and real peers of burn_p2p: connection, identify, a request, gossip. */
import assert from 'node:assert/strict'
import type { IdentifyResult } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { controlProtocol } from '../../lib/p2p/names.js'
import { controlOf, NETWORK, startNode, until } from '../p2p/nodes.js'
import { EXPERIMENT, RustPeer, rustDescribe, STUDY } from './peer.js'

rustDescribe('a node of ours and a Rust peer', function () {
  this.timeout(90_000)

  for (const [transport, listen] of [
    ['TCP with TLS', '/ip4/127.0.0.1/tcp/0'],
    ['WebSocket with Noise', '/ip4/127.0.0.1/tcp/0/ws'],
  ] as const) {
    it(`connect over ${transport}, and know each other's protocols`, async () => {
      const rust = await RustPeer.start({ mode: 'validator', listen: [listen] })
      const node = await startNode()
      const identified: IdentifyResult[] = []
      node.addEventListener('peer:identify', ({ detail }) => identified.push(detail))
      const connection = await node.dial(rust.addresses.map((address) => multiaddr(address)))
      assert.equal(connection.encryption, listen.endsWith('/ws') ? '/noise' : '/tls/1.0.0')
      await until(() => identified.length > 0)
      assert.ok(identified[0]!.protocols.includes(controlProtocol(NETWORK)))
      assert.ok(identified[0]!.protocols.includes('/meshsub/1.2.0'))
      await rust.event('peers', ({ connected }) =>
        (connected as string[]).includes(node.peerId.toString()),
      )
    })
  }

  it('answers a snapshot, and its gossip reaches us', async () => {
    const rust = await RustPeer.start({ mode: 'validator' })
    const genesis = await rust.event('genesis')
    const node = await startNode()
    const topics: string[] = []
    node.services.pubsub.addEventListener('gossipsub:message', ({ detail }) =>
      topics.push(detail.msg.topic),
    )
    const heads = `/burn-p2p/${NETWORK}/study/${STUDY}/exp/${EXPERIMENT}/heads`
    node.services.pubsub.subscribe(heads)
    await node.dial(rust.addresses.map((address) => multiaddr(address)))
    // CBOR of the text Snapshot.
    const request = Buffer.from('68536e617073686f74', 'hex')
    const response = await controlOf(node)(rust.peerId, request)
    assert.ok(Buffer.from(response).includes(String(genesis.head)))
    await RustPeer.start({ mode: 'trainer', bootstrap: rust.addresses, windows: 1 })
    await until(() => topics.includes(heads))
  })
})
