/**
 * The reference itself: burn_p2p_python with its own worker process, driven by the small Cargo package in bench/peers/rust.
 *
 * Both sides run the same workload with path hooks, cut artifacts alike, and give them the same id, which is asserted; ours
 * is the embedded runtime. The reference does not wait for the disk, and so ours does not in these rows.
 */

import assert from 'node:assert/strict'
import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { promisify } from 'node:util'
import { EmbeddedRuntime, findPython } from '../../lib/index.js'
import { chunkingScheme, FsArtifactStore } from '../../lib/store/index.js'
import type { ArtifactDescriptor } from '../../lib/schema/index.js'
import { packageRoot } from '../../lib/runtime/package-root.js'
import { interleaved } from '../measure.js'
import { openProject, publish } from '../project.js'
import { CannotRun, measured, type Effort, type Group, type Row, type RowSpec } from '../row.js'
import { scratchFolder } from '../scratch.js'
import { benchWorkload } from '../workload.js'

/** A live model's size in megabytes, and the most of the reference's time that ours may take. */
const SIZES = [
  { megabytes: 0.016, name: '16 KB', id: '16k', materialize: 0.15, load: 0.15 },
  { megabytes: 4, name: '4 MB', id: '4', materialize: 0.15, load: 0.15 },
  { megabytes: 100, name: '100 MB', id: '100', materialize: 0.5, load: 0.6 },
  { megabytes: 400, name: '400 MB', id: '400', materialize: 0.5, load: 0.6 },
] as const
type Size = (typeof SIZES)[number]

/** The reference's own default, in bytes. */
const CHUNK_BYTES = 262_144

/** How long cargo may take, in milliseconds: the first time it compiles some 180 crates. */
const BUILD_TIMEOUT_MS = 1_200_000

const spec = (size: Size, kind: 'materialize' | 'load'): RowSpec => ({
  id: `rust-${kind}-${size.id}`,
  title: `${kind === 'load' ? 'load' : 'materialise'} ${size.name} by path hooks and a store, torchbed / burn_p2p_python`,
  better: 'at most',
  limit: size[kind],
  needs: ['torch'],
})

export const rust: Group = {
  name: 'rust',
  rows: SIZES.flatMap((size) => [spec(size, 'materialize'), spec(size, 'load')]),
  async *run(effort) {
    const program = await build()
    await using runtime = await EmbeddedRuntime.start()
    for (const size of SIZES) {
      const specs = [spec(size, 'materialize'), spec(size, 'load')]
      if (specs.some(({ id }) => effort.wants(id))) yield* compare(size, program, runtime, effort)
    }
  },
}

async function* compare(
  size: Size,
  program: string,
  runtime: EmbeddedRuntime,
  effort: Effort,
): AsyncIterable<Row> {
  const [materialize, load] = [spec(size, 'materialize'), spec(size, 'load')]
  effort.begin(materialize.id, load.id)
  const megabytes = effort.quick && size.megabytes > 4 ? size.megabytes / 10 : size.megabytes
  const rounds = effort.quick ? 2 : 7
  const workload = benchWorkload({ megabytes, hooks: 'path' })
  await using scratch = await scratchFolder()
  const folders = { ours: join(scratch.path, 'ours'), theirs: join(scratch.path, 'theirs') }
  await using peer = await RustPeer.start(program, {
    python: (await findPython()).executable,
    factory: workload.factory,
    config: workload.config,
    roots: workload.moduleSearchRoots,
    store: scratch.path,
    schema: 'bench',
    chunk_bytes: CHUNK_BYTES,
  })
  await using project = await openProject(runtime, workload, chunkingScheme(CHUNK_BYTES))
  await using model = await project.initModel()
  const store = new FsArtifactStore(folders.ours, { durability: 'none' })
  const stored: { ours?: ArtifactDescriptor; theirId?: unknown } = {}
  const clear = (folder: string) => rm(folder, { recursive: true, force: true })
  // Theirs times itself, without the pipe between us.
  const ask = async (command: string) => {
    const { ms, artifact_id } = await peer.ask(command)
    return { ms: Number(ms), artifact_id }
  }
  const took = await interleaved(
    {
      materialize: async () => {
        await clear(folders.ours)
        const began = performance.now()
        stored.ours = await publish(project, model, store)
        return performance.now() - began
      },
      theirMaterialize: async () => {
        await clear(folders.theirs)
        const answer = await ask(`materialize ${folders.theirs}`)
        stored.theirId = answer.artifact_id
        return answer.ms
      },
    },
    rounds,
  )
  const artifact = stored.ours
  assert(artifact !== undefined)
  assert.equal(
    artifact.artifact_id,
    stored.theirId,
    'both sides must give the artifact the same id',
  )
  yield row(materialize, took.materialize, took.theirMaterialize)
  const loaded = await interleaved(
    {
      load: () => project.loadModelArtifact(model, artifact, store),
      theirLoad: async () => (await ask('load')).ms,
    },
    rounds,
  )
  yield row(load, loaded.load, loaded.theirLoad)

  function row(of: RowSpec, ours: number, theirs: number): Row {
    const medians = { torchbed_ms: ours, theirs_ms: theirs }
    return measured(of, ours / theirs, medians, { megabytes, rounds, chunk_bytes: CHUNK_BYTES })
  }
}

/** Builds the peer in its folder; cargo does nothing when it is built. Throws {@link CannotRun} without cargo. */
async function build(): Promise<string> {
  const folder = join(packageRoot(), 'bench', 'peers', 'rust')
  const cargo = promisify(execFile)
  await cargo('cargo', ['--version']).catch(() => {
    throw new CannotRun('cargo is not installed, which builds the peer of bench/peers/rust')
  })
  process.stderr.write('Building bench/peers/rust; the first build takes some minutes ...\n')
  const options = { cwd: folder, timeout: BUILD_TIMEOUT_MS, maxBuffer: 2 ** 26 }
  await cargo('cargo', ['build', '--release', '--locked'], options).catch((error: unknown) => {
    const { stderr = '' } = error as { stderr?: string }
    const line = stderr.split('\n').find((text) => text.startsWith('error')) ?? String(error)
    throw new CannotRun(`cargo could not build bench/peers/rust: ${line}`)
  })
  const suffix = process.platform === 'win32' ? '.exe' : ''
  return join(folder, 'target', 'release', `torchbed-bench-peer${suffix}`)
}

/** The program of bench/peers/rust: a line in, a line of JSON out. */
class RustPeer implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>, lines: Interface) {
    this.#child = child
    this.#lines = lines[Symbol.asyncIterator]()
  }

  static async start(program: string, settings: object): Promise<RustPeer> {
    const child = spawn(program, [JSON.stringify(settings)], { stdio: ['pipe', 'pipe', 'inherit'] })
    const peer = new RustPeer(child, createInterface({ input: child.stdout }))
    await peer.#answer()
    return peer
  }

  async ask(command: string): Promise<Record<string, unknown>> {
    this.#child.stdin.write(`${command}\n`)
    return this.#answer()
  }

  async #answer(): Promise<Record<string, unknown>> {
    const line = await this.#lines.next()
    if (line.done === true) throw new Error('the Rust peer has ended; it says why above')
    return JSON.parse(line.value) as Record<string, unknown>
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.stdin.end()
    await ended
  }
}
