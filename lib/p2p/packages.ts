/** js-libp2p, loaded when a node is made: torchbed works without it, and says what to install when it is needed. */

import type { gossipsub } from '@libp2p/gossipsub'
import type { identify, identifyPush } from '@libp2p/identify'
import type { noise } from '@libp2p/noise'
import type { ping } from '@libp2p/ping'
import type { tcp } from '@libp2p/tcp'
import type { tls } from '@libp2p/tls'
import type { webSockets } from '@libp2p/websockets'
import type { yamux } from '@libp2p/yamux'
import type { createLibp2p } from 'libp2p'

import { P2pPackageMissingError } from './errors.js'

/** What a node is composed of. */
export interface Libp2pPackages {
  readonly createLibp2p: typeof createLibp2p
  readonly tcp: typeof tcp
  readonly webSockets: typeof webSockets
  readonly tls: typeof tls
  readonly noise: typeof noise
  readonly yamux: typeof yamux
  readonly identify: typeof identify
  readonly identifyPush: typeof identifyPush
  readonly ping: typeof ping
  readonly gossipsub: typeof gossipsub
}

/** All that a node of ours imports, as the command that installs it names them. */
const PACKAGES = [
  'libp2p',
  '@libp2p/crypto',
  '@libp2p/gossipsub',
  '@libp2p/identify',
  '@libp2p/interface',
  '@libp2p/interface-internal',
  '@libp2p/noise',
  '@libp2p/peer-id',
  '@libp2p/ping',
  '@libp2p/tcp',
  '@libp2p/tls',
  '@libp2p/websockets',
  '@libp2p/yamux',
  '@multiformats/multiaddr',
  'ws',
]

/**
 * Loads the packages.
 *
 * @throws P2pPackageMissingError naming the command that installs them
 */
export async function loadLibp2p(): Promise<Libp2pPackages> {
  installWithResolvers()
  return needingPackages(async () => {
    await installWebSocket()
    const [libp2p, transports, encrypters, services] = await Promise.all([
      import('libp2p'),
      Promise.all([import('@libp2p/tcp'), import('@libp2p/websockets')]),
      Promise.all([import('@libp2p/tls'), import('@libp2p/noise'), import('@libp2p/yamux')]),
      Promise.all([
        import('@libp2p/identify'),
        import('@libp2p/ping'),
        import('@libp2p/gossipsub'),
      ]),
    ])
    const [{ tcp }, { webSockets }] = transports
    const [{ tls }, { noise }, { yamux }] = encrypters
    const [{ identify, identifyPush }, { ping }, { gossipsub }] = services
    const { createLibp2p } = libp2p
    return {
      ...{ createLibp2p, tcp, webSockets, tls, noise, yamux },
      ...{ identify, identifyPush, ping, gossipsub },
    }
  })
}

/**
 * Runs something that imports packages of js-libp2p.
 *
 * @throws P2pPackageMissingError when one is not installed
 */
export async function needingPackages<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ERR_MODULE_NOT_FOUND') throw error
    const missing = /'([^']+)'/.exec(message)?.[1] ?? 'a package'
    throw new P2pPackageMissingError(
      `The network needs js-libp2p, and ${missing} is not installed. ` +
        `To install all that it needs: npm install ${PACKAGES.join(' ')}`,
      { cause: error },
    )
  }
}

/** What Node.js 20 lacks of the standard and js-libp2p uses: `Promise.withResolvers` (ECMAScript 2024). */
export function installWithResolvers(): void {
  if ('withResolvers' in Promise) return
  const withResolvers = function <T>(this: PromiseConstructor) {
    let resolve: (value: T | PromiseLike<T>) => void = () => undefined
    let reject: (reason?: unknown) => void = () => undefined
    const promise = new this<T>((first, second) => {
      resolve = first
      reject = second
    })
    return { promise, resolve, reject }
  }
  Object.defineProperty(Promise, 'withResolvers', {
    value: withResolvers,
    configurable: true,
    writable: true,
  })
}

/** The client of WebSocket that Node.js has from 22 on; @libp2p/websockets brings the package for its server. */
async function installWebSocket(): Promise<void> {
  if ('WebSocket' in globalThis) return
  const { WebSocket } = await import('ws')
  Object.defineProperty(globalThis, 'WebSocket', {
    value: WebSocket,
    configurable: true,
    writable: true,
  })
}
