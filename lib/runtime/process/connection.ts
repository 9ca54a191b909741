/** The port that a worker connects to: on this machine alone, and for that worker alone. */
import { timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { MAX_TOKEN_FRAME_BYTES } from './constants.js'
import { LOOPBACK } from './launch.js'
import { isConnectionOf } from './connection-owner.js'
import { FrameReader } from './protocol-frames.js'

/** How a worker proves that a connection is its own. */
export interface Identity {
  /** What our worker sends in its first frame; null for others. */
  readonly token: string | null
  /** Its process. */
  readonly pid: number
}

/** Listens on an ephemeral port of the loopback interface until the worker is there. */
export class WorkerListener {
  readonly port: number
  readonly #server: Server
  readonly #candidates = new Set<Socket>()

  static async open(): Promise<WorkerListener> {
    const server = createServer({ noDelay: true, pauseOnConnect: true })
    server.listen(0, LOOPBACK)
    await once(server, 'listening')
    return new WorkerListener(server)
  }

  private constructor(server: Server) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (socket) => {
      this.#candidates.add(socket)
      socket.on('error', () => socket.destroy())
    })
  }

  /** The worker's connection, paused, with TCP_NODELAY. Never settles when none comes. */
  expect(identity: Identity): Promise<Socket> {
    return new Promise((resolve) => {
      const consider = (socket: Socket) => void this.#consider(socket, identity, resolve)
      this.#server.on('connection', consider)
      for (const socket of this.#candidates) consider(socket)
    })
  }

  /** Stops listening and drops every connection that is not the worker's. Idempotent. */
  close(): void {
    this.#server.close()
    for (const socket of this.#candidates) socket.destroy()
  }

  async #consider(
    socket: Socket,
    { token, pid }: Identity,
    resolve: (socket: Socket) => void,
  ): Promise<void> {
    const isOurs =
      token === null ? await isConnectionOf(pid, socket) : await sendsToken(socket, token)
    if (!isOurs || !this.#server.listening) {
      socket.destroy()
      return
    }
    this.#candidates.delete(socket)
    this.close()
    resolve(socket)
  }
}

/** Whether the first frame is `{"token": …}` with the right one, and nothing behind it. */
async function sendsToken(socket: Socket, token: string): Promise<boolean> {
  const frame = await firstFrame(socket)
  if (frame === undefined) return false
  const expected = Buffer.from(JSON.stringify({ token }))
  return frame.length === expected.length && timingSafeEqual(frame, expected)
}

function firstFrame(socket: Socket): Promise<Buffer | undefined> {
  const reader = new FrameReader(MAX_TOKEN_FRAME_BYTES)
  return new Promise((resolve) => {
    const read = (chunk: Buffer) => {
      try {
        for (const frame of reader.push(chunk)) {
          socket.pause().off('data', read)
          resolve(reader.hasPart ? undefined : frame)
          return
        }
      } catch {
        resolve(undefined)
      }
    }
    socket.on('data', read).once('close', () => resolve(undefined))
    socket.resume()
  })
}
