/** What a process does in hostile surroundings, or with a hook that misuses it: one runtime, one thread. */
import { createHash, scryptSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import type { EmbeddedRuntime, PyInput } from '../../../lib/index.js'
import { failure, open, type Act, type Outcome } from './session.js'

export interface Place {
  /** A folder for this process alone. */
  readonly folder: string
}

export type Action = (place: Place) => Promise<unknown>

/** The copy of the library that is tried: this one, or the installed one whose URL is given. */
export async function library(): Promise<typeof import('../../../lib/index.js')> {
  const url = process.env.TORCHBED_LIBRARY ?? new URL('../../../lib/index.js', import.meta.url).href
  return (await import(url)) as typeof import('../../../lib/index.js')
}

async function start(): Promise<{ runtime: EmbeddedRuntime; act: Act }> {
  const { EmbeddedRuntime } = await library()
  const runtime = await EmbeddedRuntime.start()
  return { runtime, act: await open(runtime) }
}

/** Calls functions of the workload one after the other. */
function acting(...calls: readonly (readonly [string, Readonly<Record<string, PyInput>>?])[]) {
  return async (): Promise<Outcome[]> => {
    const { act } = await start()
    const outcomes: Outcome[] = []
    for (const [name, payload] of calls) outcomes.push(await act(name, payload))
    return outcomes
  }
}

export const ACTIONS: Readonly<Record<string, Action>> = {
  plain: acting(['plain']),
  train: acting(['train']),
  say: acting(['say'], ['plain']),
  'one-thread': acting(['train', { threads: 1 }]),
  'no-compiler': acting(['compile_model'], ['train']),
  'no-compile': acting(['remove_compile']),
  'few-files': acting(['train'], ['open_files'], ['plain']),
  'fork-leaves': acting(['fork', { child: 'leaves' }], ['plain']),
  'fork-works': acting(['fork', { child: 'works' }], ['plain']),
  'fork-stays': acting(['fork', { child: 'returns' }], ['plain']),
  spawn: acting(['multiprocess'], ['plain']),
  'fork-worker': acting(['multiprocess', { method: 'fork' }], ['plain']),
  'start-processes': acting(['start_processes'], ['plain']),
  'stdout-text': acting(['replace_stdout', { how: 'text' }], ['say'], ['plain']),
  'stdout-none': acting(['replace_stdout', { how: 'none' }], ['say'], ['plain']),
  'stdout-closed': acting(['replace_stdout', { how: 'closed' }], ['say'], ['plain']),
  leave: acting(['leave', { code: 5 }]),

  start: async () => {
    try {
      await start()
      return { started: true }
    } catch (error) {
      return failure(error)
    }
  },

  /** The child process returns from the hook, too: each call must have one answer, the parent's. */
  'fork-returns': async () => {
    const { act } = await start()
    const { of, child } = await act('fork', { child: 'returns' })
    const calls = Array.from({ length: 20 }, async (_, call) => {
      const answer = await act('identify', { call })
      return answer.call === BigInt(call)
    })
    const own = (await Promise.all(calls)).filter(Boolean).length
    process.kill(Number(child), 0)
    process.kill(Number(child), 'SIGKILL')
    return { of, own }
  },

  daemonise: async ({ folder }) => {
    const { act } = await start()
    return [await act('daemonise', { file: join(folder, 'daemon') }), await act('plain')]
  },

  'change-folder': async ({ folder }) => {
    const { act, runtime } = await start()
    const before = process.cwd()
    mkdirSync(join(folder, 'elsewhere'))
    const changed = await act('change_folder', { to: join(folder, 'elsewhere') })
    const again = await open(runtime)
    const isStale = process.cwd() === before
    return [{ ...changed, isStale, goes: realpathSync.native('.') }, await again('plain')]
  },

  'folder-gone-before': async ({ folder }) => {
    leaveNoFolder(folder)
    return ACTIONS.start?.({ folder })
  },

  'folder-gone-after': async ({ folder }) => {
    const { act } = await start()
    const before = await act('train')
    leaveNoFolder(folder)
    return [before, await act('train')]
  },

  /** V8 uses SIGSEGV for the bounds of WebAssembly's memory, faulthandler for its report. */
  'faulthandler-wasm': async () => {
    const { act } = await start()
    const enabled = await act('enable_faulthandler')
    return [enabled, readBeyondMemory(), await act('plain')]
  },

  hashes: async () => {
    const { act } = await start()
    const names = ['md5', 'sha1', 'sha256', 'sha512', 'sha3-256', 'blake2b512']
    const inPython: Record<string, string> = { blake2b512: 'blake2b', 'sha3-256': 'sha3_256' }
    const text = 'torchbed'
    const wanted = names.map((name) => inPython[name] ?? name)
    const answer = await act('hashes', { text, names: wanted })
    const differing = names.filter(
      (name, i) => answer[wanted[i] ?? ''] !== createHash(name).update(text).digest('hex'),
    )
    const derived = scryptSync(text, 'salt', 32, { N: 1024, r: 8, p: 1 }).toString('hex')
    return { compared: names.length, differing, scrypt: answer.scrypt === derived }
  },

  tls: async ({ folder }) => {
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    const { act, runtime } = await start()
    const credentials = { cert: readFileSync(cert), key: readFileSync(key) }
    const server = createServer(credentials, (socket) => {
      socket.once('data', (data: Buffer) => socket.end(`node ${data.toString()}`))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const asked = new Promise<string>((resolve, reject) => {
      runtime.on('stdout', (line) => {
        askPython(Number(/^PORT (\d+)$/.exec(line)?.[1]), credentials.cert).then(resolve, reject)
      })
    })
    const answer = await act('tls', { cert, key, port })
    const { openssl, ...rest } = answer
    server.close()
    return {
      ...rest,
      node: await asked,
      openssl: String(openssl) === process.env.TORCHBED_OPENSSL || openssl,
    }
  },
}

async function askPython(port: number, ca: Buffer): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, ca, servername: 'localhost' })
  await once(socket, 'secureConnect')
  socket.write('for node')
  const [data] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return data.toString()
}

function leaveNoFolder(folder: string): void {
  const gone = join(folder, 'gone')
  mkdirSync(gone)
  process.chdir(gone)
  rmSync(gone, { recursive: true })
}

/** (module (memory 1) (func (export "read") (param i32) (result i32) local.get 0 i32.load)) */
const READING =
  '0061736d0100000001060160017f017f030201000503010001070801047265616400000a0901070020002802000b'

/** What is used of it: it belongs to the types of browsers. */
interface WebAssemblyNamespace {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => {
    readonly exports: { readonly read: (at: number) => number }
  }
}

function readBeyondMemory(): string {
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyNamespace })
    .WebAssembly
  const { read } = new Instance(new Module(Buffer.from(READING, 'hex'))).exports
  try {
    return String(read(1 << 20))
  } catch (error) {
    return (error as Error).name
  }
}
