import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, realpath, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import {
  buildArtifactDescriptor,
  chunkingScheme,
  fetchArtifact,
  FsArtifactStore,
  type Durability,
} from '../../lib/store/index.js'
import { sweepElsewhere } from '../long/crash/faults.js'
import { unsafeIn } from '../long/crash/log.js'
import { faultEnvironment, FaultFile, faultLibrary } from '../long/faults.js'
import { withSmallDisk } from '../support/small-disk.js'
import {
  filesBelow,
  removeFolder,
  runElsewhere,
  runScript,
  SERVE_HEAD,
  serveHead,
  temporaryFolder,
} from './support.js'

const library = faultLibrary()
const faultIt = library === undefined ? it.skip : it
const posixIt = process.platform === 'win32' ? it.skip : it

describe('the artifact store, when the system refuses,', () => {
  let folder = ''
  beforeEach(async () => {
    folder = await temporaryFolder()
  })
  afterEach(() => removeFolder(folder))

  const temporary = async () =>
    [...(await filesBelow(folder)).keys()].filter((name) => name.endsWith('.tmp'))

  faultIt(
    'at any one call (needs cc) fails with a typed error, keeps what it had, leaves nothing, and can try again',
    async () => {
      const { hit, problems } = await sweepElsewhere('store')
      assert.deepEqual(problems, [])
      assert.equal(Object.keys(hit).length, 9)
      for (const [name, count] of Object.entries(hit)) assert.ok(count >= 5, `${name}: ${count}`)
    },
  )

  it('on a full disk (needs mount) keeps what it had, and stores again when there is room', async function () {
    const isMounted = await withSmallDisk(join(folder, 'disk'), '4m', async (disk) => {
      const store = new FsArtifactStore(disk)
      const stream = (bytes: Uint8Array) => [bytes].values()
      const chunking = chunkingScheme(256 * 1024)
      const kept = Buffer.alloc(1024 * 1024, 'kept')
      const artifact = await store.storeArtifactBytes(SERVE_HEAD, kept, chunking, { pin: true })
      const full = (error: NodeJS.ErrnoException) => {
        assert.equal(error.code, 'ERR_CHECKPOINT_IO')
        assert.equal((error.cause as NodeJS.ErrnoException).code, 'ENOSPC')
        assert.match(error.message, /no space left on device.*; free disk space/)
        return true
      }
      // Each chunk differs, so that each takes its room.
      const large = Buffer.from(Uint32Array.from({ length: 2 ** 21 }, (_, i) => i).buffer)
      for (let attempt = 0; attempt < 2; attempt++) {
        // How long a stream is shows when it has ended.
        await assert.rejects(store.storeArtifactReader(SERVE_HEAD, stream(large), chunking), full)
        assert.deepEqual(await temporary(), [])
        assert.ok(kept.equals(await store.materializeArtifactBytes(artifact)))
        const { removed_chunks } = await store.garbageCollect()
        assert.ok(removed_chunks.length > 5, 'chunks without a manifest are garbage at once')
      }
      const small = large.subarray(0, 2 * 1024 * 1024)
      const again = await store.storeArtifactBytes(SERVE_HEAD, small, chunking)
      assert.ok(small.equals(await store.materializeArtifactBytes(again)))
    })
    if (!isMounted) this.skip()
  })

  it('on a disk that is too small (needs mount) refuses before it writes, and counts what others reserved', async function () {
    const isMounted = await withSmallDisk(join(folder, 'disk'), '8m', async (disk) => {
      const store = new FsArtifactStore(join(disk, 'yet', 'to be made'))
      const chunking = chunkingScheme(256 * 1024)
      const bytes = Buffer.from(Uint32Array.from({ length: 3 * 2 ** 20 }, (_, i) => i).buffer)
      const file = join(folder, 'large')
      await writeFile(file, bytes)
      const descriptor = await buildArtifactDescriptor(SERVE_HEAD, bytes, chunking)
      assert.equal(await store.missingBytes(descriptor), bytes.length)
      const refusal = { code: 'ERR_CHECKPOINT_NO_SPACE', needed: bytes.length }
      const source = () => [bytes].values()
      const copy = Uint8Array.from(bytes)
      for (const storing of [
        () => store.storeArtifactBytes(SERVE_HEAD, bytes, chunking),
        () => store.storeArtifactBytes(SERVE_HEAD, copy, chunking, { transfer: true }),
        () => store.storeArtifactFile(SERVE_HEAD, file, chunking),
        () => store.storePrebuiltArtifactBytes(descriptor, bytes),
        () =>
          store.storeArtifactReader(SERVE_HEAD, source(), chunking, {
            expectedBytes: bytes.length,
          }),
        () => fetchArtifact(store, descriptor, []),
      ])
        await assert.rejects(storing, refusal)
      assert.equal((await filesBelow(disk)).size, 0)

      const half = bytes.subarray(0, 5 * 2 ** 20)
      const stored = await store.storeArtifactBytes(SERVE_HEAD, half, chunking)
      // What is there already needs no room.
      assert.deepEqual(await store.storeArtifactBytes(SERVE_HEAD, half, chunking), stored)
      assert.equal(await store.missingBytes(descriptor), bytes.length - half.length)
      await store.garbageCollect()

      let open: () => void = () => undefined
      const gate = new Promise<void>((resolve) => (open = resolve))
      const slowly = async function* () {
        yield half.subarray(0, 2 ** 20)
        await gate
        yield half.subarray(2 ** 20)
      }
      const slow = store.storeArtifactReader(SERVE_HEAD, slowly(), chunking, {
        expectedBytes: half.length,
      })
      await sleep(200)
      const other = Buffer.alloc(5 * 2 ** 20)
      for (let at = 0; at < other.length; at += 4) other.writeUInt32LE(at + 1, at)
      const busy = { ...refusal, needed: other.length }
      await assert.rejects(store.storeArtifactBytes(SERVE_HEAD, other, chunking), busy)
      open()
      await slow
      await store.garbageCollect()
      await store.storeArtifactBytes(SERVE_HEAD, other, chunking)
    })
    if (!isMounted) this.skip()
  })

  posixIt('by the permissions of its folders still reads, and writes once it may', async () => {
    const root = join(folder, 'store')
    const store = new FsArtifactStore(root)
    const artifact = await store.storeArtifactBytes(SERVE_HEAD, Buffer.from('kept'))
    await store.pinArtifact('one')
    await chmod(folder, 0o755)
    for (const path of ['artifacts/chunks', 'artifacts/manifests', 'artifacts/pins', 'heads'])
      await chmod(join(root, path), 0o555)
    // Root may write everywhere, so that another user tries; what it needs was loaded before.
    const output = await runElsewhere(`
      const store = new FsArtifactStore(${JSON.stringify(root)})
      const spec = ${JSON.stringify(SERVE_HEAD)}
      const artifact = ${JSON.stringify(artifact)}
      await store.materializeArtifactBytes(artifact)
      if (process.getuid() === 0) process.setuid(65534)
      const tell = ({ code, cause }) => console.log(code, cause?.code)
      await store.storeArtifactBytes(spec, Buffer.from('other')).catch(tell)
      await store.pinArtifact('two').catch(tell)
      await store.unpinArtifact('one').catch(tell)
      await store.garbageCollect().catch(tell)
      console.log(Buffer.from(await store.materializeArtifactBytes(artifact)).toString())`)
    assert.equal(output, `${'ERR_CHECKPOINT_IO EACCES\n'.repeat(4)}kept\n`)
    for (const path of ['artifacts/chunks', 'artifacts/manifests', 'artifacts/pins', 'heads'])
      await chmod(join(root, path), 0o755)
    assert.deepEqual(await temporary(), [])
    const other = await store.storeArtifactBytes(SERVE_HEAD, Buffer.from('other'))
    assert.ok(await store.hasCompleteArtifact(other.artifact_id, { verify: true }))
  })

  faultIt(
    'and when a collector is killed while it holds a manifest (needs cc) gives the manifest back',
    async () => {
      await mkdir(join(folder, 'watched'))
      const root = join(folder, 'watched', 'store')
      const store = new FsArtifactStore(root)
      const { artifact_id } = await store.storeArtifactBytes(SERVE_HEAD, Buffer.from('kept'))
      const orders = join(folder, 'orders')
      const faults = FaultFile.make(orders, { operations: ['rename'], from: 1, action: 'wait' })
      const script = `import { FsArtifactStore } from ${JSON.stringify(MODULE)}
        await new FsArtifactStore(${JSON.stringify(root)}).garbageCollect()`
      const collector = spawn(process.execPath, ['--input-type=module', '-e', script], {
        env: { ...process.env, ...faultEnvironment(library!, root, orders) },
        stdio: 'inherit',
      })
      const ended = once(collector, 'exit')
      const until = async (renames: number) => {
        while (faults.counts.hit < renames && collector.exitCode === null) await sleep(5)
      }
      // It found no pin, and is about to take the manifest's name away; with the pin, it wants to give it back.
      await until(1)
      await store.pinArtifact(artifact_id)
      await until(2)
      collector.kill('SIGKILL')
      assert.deepEqual(await ended, [null, 'SIGKILL'])
      await store.garbageCollect()
      assert.ok(await store.hasCompleteArtifact(artifact_id, { verify: true }))
      assert.deepEqual(await temporary(), [])
    },
  )
})

it('the log of a machine that crashes tells what could be undone', () => {
  const log = [
    'write\t/c/1.tmp\t',
    'rename\t/c/1.tmp\t/c/1',
    'write\t/c/2.tmp\t',
    'sync\t/c/2.tmp\t',
    'rename\t/c/2.tmp\t/c/2',
    'rename\t/m/3.tmp\t/m/3',
    'sync\t/c\t',
    '',
  ]
  assert.deepEqual(
    unsafeIn(log.join('\n'), (folder) => (folder === '/m' ? '/c' : undefined)),
    [
      '/c/1 was named before its bytes were safe',
      '/m/3 was named before /c/1 was safe',
      '/m/3 was named before /c/2 was safe',
      '/m/3 may vanish',
    ],
  )
})

describe('the artifact store, when the machine crashes,', () => {
  let folder = ''
  beforeEach(async () => {
    folder = await realpath(await temporaryFolder())
  })
  afterEach(() => removeFolder(folder))

  async function logOf(durability: Durability): Promise<string> {
    const root = join(folder, 'watched', durability)
    const orders = join(folder, 'orders')
    const log = join(folder, `${durability}.log`)
    FaultFile.make(orders)
    await mkdir(root, { recursive: true })
    const artifact = await serveHead()
    await runScript(
      `import { FsArtifactStore, chunkingScheme } from ${JSON.stringify(MODULE)}
      const store = new FsArtifactStore(${JSON.stringify(root)}, { durability: '${durability}' })
      const spec = ${JSON.stringify(SERVE_HEAD)}
      const large = Buffer.from(Uint32Array.from({ length: 400_000 }, (_, i) => i).buffer)
      await store.storeArtifactBytes(spec, large, chunkingScheme(300_000), { pin: true })
      await store.storeArtifactReader(spec, [Buffer.from('a stream')], chunkingScheme(3))
      // Its chunks are there already, and only they.
      await store.storePrebuiltArtifactBytes(${JSON.stringify(artifact)}, Buffer.from('abcdefgh'))
      await store.storePrebuiltArtifactBytes(${JSON.stringify(artifact)}, Buffer.from('abcdefgh'))
      await store.pinHead('head')
      await store.storeHead({ ...${JSON.stringify(HEAD)}, metrics: {} })
      const out = ${JSON.stringify(join(root, 'out.bin'))}
      await store.materializeArtifactFile(${JSON.stringify(artifact)}, out)`,
      undefined,
      faultEnvironment(library!, join(folder, 'watched'), orders, log),
    )
    return readFile(log, 'utf8')
  }

  const chunksBeforeManifests = (at: string) =>
    at.endsWith('/manifests') ? join(at, '..', 'chunks') : undefined

  faultIt(
    'has on the disk what was stored, and the chunks of every manifest that is there (needs cc)',
    async () => {
      const log = await logOf('full')
      assert.deepEqual(unsafeIn(log, chunksBeforeManifests), [])
      const lines = log.split('\n')
      assert.ok(lines.filter((line) => line.startsWith('rename')).length > 15, log)
      // The names of the folders themselves, which the store makes.
      assert.ok(lines.includes(`sync\t${join(folder, 'watched', 'full')}\t`), log)
    },
  )

  faultIt('leaves the disk to the system with durability none (needs cc)', async () => {
    const log = await logOf('none')
    assert.doesNotMatch(log, /^sync/m)
    assert.ok(unsafeIn(log, chunksBeforeManifests).length > 15)
  })
})

const HEAD = {
  head_id: 'head',
  study_id: 'study',
  experiment_id: 'experiment',
  revision_id: 'revision',
  artifact_id: 'artifact',
  parent_head_id: null,
  global_step: 3,
  created_at: '2026-01-02T03:04:05Z',
}

const MODULE = new URL('../../lib/store/index.js', import.meta.url).href
