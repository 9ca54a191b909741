/**
 * Stores a large artifact and reads it back: speed, memory, and how long the event loop is kept waiting.
 *
 *   node dist/bench/artifact-store.js [size in MiB, default 1024]
 *
 * Needs three times the size on the disk of the temporary folder, and the size in memory. Each setting runs in
 * a separate process, for the sake of the memory. The delay is what a timer due every millisecond sees on top
 * of that millisecond; "idle"
 * is what it sees when nothing happens.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { arch, cpus, loadavg, platform, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { chunkingScheme, FsArtifactStore, type Durability } from '../lib/store/index.js'

const MIB = 1024 * 1024
const SPEC = {
  kind: 'FullHead',
  head_id: 'head-1',
  precision: 'Fp32',
  model_schema_hash: 'schema',
  record_format: 'python-torch-safetensors',
} as const

const [size = '1024', folder, chunk, durability] = process.argv.slice(2)
const sizeMiB = Number(size)
if (!Number.isInteger(sizeMiB) || sizeMiB < 1) {
  throw new RangeError(`The size must be a whole number of MiB, not "${size}"`)
}
if (folder === undefined) await runAll()
else await run(folder, Number(chunk), durability === 'none' ? 'none' : 'full')

async function runAll(): Promise<void> {
  const [cpu] = cpus()
  console.log(
    `${platform()} ${release()} ${arch()}, ${cpus().length} x ${cpu?.model ?? 'unknown'}, ` +
      `${(totalmem() / 2 ** 30).toFixed(0)} GiB, load ${loadavg()[0]?.toFixed(1) ?? ''}, node ${process.version}`,
  )
  console.log(`one artifact of ${sizeMiB} MiB\n`)
  console.log('chunk      durability  operation         MiB/s   loop delay ms: p50    p99     max')
  const shared = await mkdtemp(join(tmpdir(), 'torchbed-bench-'))
  try {
    await writeSource(join(shared, 'source.bin'))
    await measure('', '', 'idle', () => sleep(1000))
    for (const chunkSize of [262144, 8 * MIB]) {
      for (const setting of ['full', 'none']) {
        const script = fileURLToPath(import.meta.url)
        const args = [script, size, shared, String(chunkSize), setting]
        const child = spawn(process.execPath, args, { stdio: 'inherit' })
        const [status] = (await once(child, 'exit')) as [number | null]
        if (status !== 0) throw new Error(`A run ended with ${String(status)}`)
      }
    }
  } finally {
    await rm(shared, { recursive: true, force: true })
  }
}

async function run(shared: string, chunkSize: number, durability: Durability): Promise<void> {
  const source = join(shared, 'source.bin')
  const root = join(shared, 'store')
  const out = join(shared, 'out.bin')
  const store = new FsArtifactStore(root, { durability })
  const chunking = chunkingScheme(chunkSize)
  const row = <T>(operation: string, work: () => Promise<T>) =>
    measure(`${chunkSize / 1024} KiB`, durability, operation, work)
  const before = peakMemory()
  const artifact = await row('store file', () => store.storeArtifactFile(SPEC, source, chunking))
  await row('write file', () => store.materializeArtifactFile(artifact, out))
  const growth = ((peakMemory() - before) / MIB).toFixed(1)
  console.log(`           peak memory grew by ${growth} MiB`)
  await row('store again', () => store.storeArtifactFile(SPEC, source, chunking))
  await row('load manifest', () => store.loadManifest(artifact.artifact_id))
  await row('verify', () => store.hasCompleteArtifact(artifact.artifact_id, { verify: true }))
  const bytes = await row('load bytes', () => store.materializeArtifactBytes(artifact))
  await rm(root, { recursive: true })
  await row('store bytes', () =>
    store.storeArtifactBytes(SPEC, bytes, chunking, { transfer: true }),
  )
  await row('collect garbage', () => new FsArtifactStore(root).garbageCollect())
  await rm(root, { recursive: true })
  await rm(out)
}

/** Runs one operation on the artifact and prints its row. */
async function measure<T>(
  chunk: string,
  durability: string,
  operation: string,
  work: () => Promise<T>,
): Promise<T> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const start = performance.now()
  const result = await work()
  const seconds = (performance.now() - start) / 1000
  // A stall shows when the timer fires after it.
  await sleep(5)
  delay.disable()
  const milliseconds = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - 1).toFixed(2)
  console.log(
    chunk.padEnd(11) +
      durability.padEnd(12) +
      operation.padEnd(16) +
      (operation === 'idle' ? '' : (sizeMiB / seconds).toFixed(0)).padStart(7) +
      milliseconds(delay.percentile(50)).padStart(21) +
      milliseconds(delay.percentile(99)).padStart(7) +
      milliseconds(delay.max).padStart(8),
  )
  return result
}

/** Bytes that differ from one chunk to the next, so that every chunk is written. */
async function writeSource(path: string): Promise<void> {
  const piece = Buffer.alloc(MIB)
  const file = await open(path, 'w')
  try {
    for (let index = 0; index < sizeMiB; index++) {
      for (let at = 0; at < MIB; at += 4096) piece.writeUInt32LE(index * 256 + at / 4096 + 1, at)
      await file.write(piece)
    }
    await file.sync()
  } finally {
    await file.close()
  }
}

function peakMemory(): number {
  return process.resourceUsage().maxRSS * 1024
}
