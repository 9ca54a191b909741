/** Two nodes of ours on loopback: connection, key, requests and their bounds, gossip. */
import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { IdentifyResult, Stream } from '@libp2p/interface'
import { ConfigError, AbortError } from '../../lib/errors.js'
import { answerRequests, type Answer } from '../../lib/p2p/control/exchange.js'
import {
  MessageTooLargeError,
  type P2pError,
  P2pPackageMissingError,
  PeerIdentityError,
  PeerProtocolError,
  PeerTimeoutError,
  PeerUnreachableError,
} from '../../lib/p2p/errors.js'
import { loadOrCreateIdentity } from '../../lib/p2p/identity.js'
import { MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES } from '../../lib/p2p/limits.js'
import { controlProtocol } from '../../lib/p2p/names.js'
import { needingPackages } from '../../lib/p2p/packages.js'
import { controlOf, NETWORK, startNode, testFolder, until, type TestNode } from './nodes.js'

const posixIt = process.platform === 'win32' ? it.skip : it

describe('the key of a peer', () => {
  it('is made once, and the peer is the same after a restart', async () => {
    const path = join(await testFolder(), 'identity.key')
    const first = await loadOrCreateIdentity(path)
    const again = await loadOrCreateIdentity(path)
    assert.deepEqual(again.raw, first.raw)
    // As peers of the reference write it: a protobuf of type 1 and 64 bytes.
    const bytes = await readFile(path)
    assert.equal(bytes.subarray(0, 4).toString('hex'), '08011240')
    assert.equal(bytes.length, 68)
  })

  posixIt('is readable by its owner alone, also where it was readable by all', async () => {
    const path = join(await testFolder(), 'identity.key')
    await loadOrCreateIdentity(path)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    await chmod(path, 0o644)
    await loadOrCreateIdentity(path)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
  })

  it('is refused when the file is damaged, is a folder, or cannot be written', async () => {
    const folder = await testFolder()
    const damaged = join(folder, 'damaged')
    await writeFile(damaged, Buffer.alloc(68, 7))
    await assert.rejects(loadOrCreateIdentity(damaged), PeerIdentityError)
    await writeFile(damaged, 'no key')
    await assert.rejects(loadOrCreateIdentity(damaged), (error: P2pError) => {
      assert.equal(error.code, 'ERR_P2P_IDENTITY')
      assert.match(error.message, /damaged" is not a peer's Ed25519 key; restore the file/)
      return true
    })
    await mkdir(join(folder, 'is-folder'))
    await assert.rejects(loadOrCreateIdentity(join(folder, 'is-folder')), PeerIdentityError)
    await assert.rejects(loadOrCreateIdentity(join(folder, 'missing', 'key')), PeerIdentityError)
  })
})

describe('js-libp2p', () => {
  it('is asked for with one command where a package is missing', async () => {
    const missing = '@libp2p/not-a-package'
    await assert.rejects(
      needingPackages(() => import(missing)),
      (error: P2pError) => {
        assert.ok(error instanceof P2pPackageMissingError)
        assert.match(
          error.message,
          /@libp2p\/not-a-package is not installed\. .* npm install libp2p @libp2p\/crypto /,
        )
        return true
      },
    )
  })

  it('is not blamed for other errors of a module', async () => {
    await assert.rejects(
      needingPackages(() => Promise.reject(new SyntaxError('bad'))),
      SyntaxError,
    )
  })
})

describe('a node', () => {
  it('refuses the id of a network that cannot be a part of a protocol id', async () => {
    for (const network of ['', 'a/b']) {
      await assert.rejects(startNode({ network }), ConfigError)
    }
  })

  it('connects over TLS and yamux, and tells what it speaks', async () => {
    const [a, b] = [await startNode(), await startNode()]
    const identified: IdentifyResult[] = []
    a.addEventListener('peer:identify', ({ detail }) => identified.push(detail))
    await a.dial(b.getMultiaddrs())
    const [connection] = a.getConnections(b.peerId)
    assert.ok(connection !== undefined)
    assert.equal(connection.encryption, '/tls/1.0.0')
    assert.equal(connection.multiplexer, '/yamux/1.0.0')
    await until(() => identified.length > 0)
    const [{ protocols, agentVersion }] = identified as [IdentifyResult]
    assert.ok(protocols.includes('/meshsub/1.1.0'))
    assert.ok(protocols.includes('/ipfs/ping/1.0.0'))
    assert.match(agentVersion ?? '', /^torchbed/)
    assert.ok((await a.services.ping.ping(b.peerId)) >= 0)
  })

  it('has one connection to a peer, whoever dials', async () => {
    const [a, b] = await connected()
    await b.dial(a.getMultiaddrs()).catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, 200))
    assert.equal(a.getConnections(b.peerId).length, 1)
    assert.equal(b.getConnections(a.peerId).length, 1)
  })

  it('hands gossip on with its author, and refuses none for being alone', async () => {
    const [a, b] = await connected()
    const topic = `/burn-p2p/${NETWORK}/control`
    const received: string[] = []
    b.services.pubsub.addEventListener('gossipsub:message', ({ detail: { msg } }) => {
      assert.ok(msg.type === 'signed')
      received.push(`${msg.from.toString()} ${Buffer.from(msg.data).toString()}`)
    })
    b.services.pubsub.subscribe(topic)
    await until(() => a.services.pubsub.getSubscribers(topic).length === 1)
    await a.services.pubsub.publish(topic, Buffer.from('hello'))
    await until(() => received.length > 0)
    assert.deepEqual(received, [`${a.peerId.toString()} hello`])
    await a.services.pubsub.publish(`${topic}-of-nobody`, Buffer.from('hello'))
  })
})

describe('a request', () => {
  const failures: string[] = []

  beforeEach(() => failures.splice(0))

  /** Two connected nodes, of which the second answers. */
  async function asking(answer: Answer) {
    const [a, b] = await connected()
    const protocol = controlProtocol(NETWORK)
    const registrar = {
      handle: b.handle.bind(b),
      unhandle: b.unhandle.bind(b),
    }
    await answerRequests(registrar, protocol, answer, ({ code }) => failures.push(code))
    const peerId = b.peerId.toString()
    const control = controlOf(a)
    return { a, b, peerId, protocol, ask: control.bind(null, peerId), control }
  }

  it('is answered with all the bytes, however many, and by its peer', async () => {
    const seen: string[] = []
    const { a, ask } = await asking((peerId, request) => {
      seen.push(peerId)
      return Promise.resolve(Buffer.alloc(Number(Buffer.from(request).toString()), 5))
    })
    for (const length of [0, 1, 70_000, 3_000_000, MAX_RESPONSE_BYTES]) {
      const response = await ask(Buffer.from(String(length)))
      assert.equal(response.length, length)
      assert.ok(response.every((byte) => byte === 5))
    }
    assert.deepEqual(new Set(seen), new Set([a.peerId.toString()]))
    assert.deepEqual(failures, [])
  })

  it('is answered beside a hundred others', async () => {
    const { ask } = await asking((_, request) => Promise.resolve(request))
    const requests = Array.from({ length: 100 }, (_, index) => Buffer.from(`request ${index}`))
    const responses = await Promise.all(requests.map((request) => ask(request)))
    assert.deepEqual(
      responses.map((bytes) => Buffer.from(bytes).toString()),
      requests.map(String),
    )
  })

  it('is not sent when it is too large; one that is sent all the same is cut off', async () => {
    const { a, b, ask, protocol } = await asking((_, request) => Promise.resolve(request))
    await assert.rejects(ask(Buffer.alloc(MAX_REQUEST_BYTES + 1)), MessageTooLargeError)
    const stream = await a.dialProtocol(b.peerId, protocol)
    const ended = new Promise((resolve) => stream.addEventListener('close', resolve))
    stream.send(Buffer.alloc(MAX_REQUEST_BYTES + 1))
    await ended
    assert.equal(stream.status, 'reset')
    assert.deepEqual(failures, ['ERR_P2P_PROTOCOL'])
  })

  it('fails when the response is larger than any may be', async () => {
    const { ask } = await asking(() => Promise.resolve(Buffer.alloc(MAX_RESPONSE_BYTES + 1)))
    await assert.rejects(ask(Buffer.from('x')), PeerUnreachableError)
    assert.deepEqual(failures, ['ERR_P2P_MESSAGE_TOO_LARGE'])
  })

  it('ends when the peer sends without end, or not at all', async () => {
    const { a, b, control } = await asking((_, request) => Promise.resolve(request))
    const endless = controlProtocol('endless')
    await b.handle(endless, async (stream: Stream) => {
      for (;;) {
        if (!stream.send(Buffer.alloc(65_536))) await stream.onDrain()
        await setImmediate()
      }
    })
    await b.handle(controlProtocol('silent'), () => undefined)
    const peerId = b.peerId.toString()
    await assert.rejects(controlOf(a, 'endless')(peerId, Buffer.from('x')), PeerProtocolError)
    await assert.rejects(
      controlOf(a, 'silent')(peerId, Buffer.from('x'), { timeoutMs: 300 }),
      (error: PeerTimeoutError) => error instanceof PeerTimeoutError && error.peerId === peerId,
    )
    assert.deepEqual(Buffer.from(await control(peerId, Buffer.from('still'))).toString(), 'still')
  })

  it('can be aborted', async () => {
    const { ask } = await asking(() => new Promise(() => undefined))
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 100)
    await assert.rejects(ask(Buffer.from('x'), { signal: controller.signal }), AbortError)
    await assert.rejects(ask(Buffer.from('x'), { signal: controller.signal }), AbortError)
  })

  it('says that a peer is gone, or speaks for another network', async () => {
    const { a, b, ask } = await asking((_, request) => Promise.resolve(request))
    const other = controlOf(a, 'another')
    await assert.rejects(other(b.peerId.toString(), Buffer.from('x')), PeerUnreachableError)
    await b.stop()
    await assert.rejects(ask(Buffer.from('x')), PeerUnreachableError)
  })
})

/** Two nodes, of which the first has dialled the second. */
async function connected(): Promise<[TestNode, TestNode]> {
  const [a, b] = [await startNode(), await startNode()]
  await a.dial(b.getMultiaddrs())
  await until(() => b.getConnections(a.peerId).length === 1)
  return [a, b]
}
