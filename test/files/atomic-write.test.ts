import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import {
  isTempFileName,
  removeLeftoverTempFiles,
  writeFileAtomic,
  writeStreamAtomic,
} from '../../lib/files/atomic-write.js'

const MODULE = fileURLToPath(new URL('../../lib/files/atomic-write.js', import.meta.url))

describe('an atomic write', () => {
  let folder = ''
  let target = ''

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-files-'))
    target = join(folder, 'file.bin')
  })
  afterEach(() => rm(folder, { recursive: true }))

  const left = () => readdir(folder)

  it('makes the file, or replaces it', async () => {
    await writeFileAtomic(target, 'naïve')
    assert.equal(await readFile(target, 'utf8'), 'naïve')
    await writeFileAtomic(target, Uint8Array.of(1, 2))
    assert.deepEqual([...(await readFile(target))], [1, 2])
    assert.deepEqual(await left(), ['file.bin'])
  })

  it('joins the pieces of a stream and counts their bytes', async () => {
    async function* pieces() {
      yield Buffer.from('ab')
      await Promise.resolve()
      yield new Uint8Array()
      yield Buffer.from('c')
    }
    assert.equal(await writeStreamAtomic(target, pieces()), 3)
    assert.equal(await readFile(target, 'utf8'), 'abc')
    assert.equal(await writeStreamAtomic(target, []), 0)
    assert.equal((await stat(target)).size, 0)
  })

  it('lets writers of one target race: the file is whole, and it is one of theirs', async () => {
    const contents = Array.from({ length: 8 }, (_, index) => Buffer.alloc(300_000, 65 + index))
    await Promise.all(contents.map((content) => writeFileAtomic(target, content)))
    const found = await readFile(target)
    assert(contents.some((content) => content.equals(found)))
    assert.deepEqual(await left(), ['file.bin'])
  })

  it('shows the old file until the new one is complete', async () => {
    await writeFileAtomic(target, 'old')
    async function* pieces() {
      yield Buffer.from('new')
      assert.equal(await readFile(target, 'utf8'), 'old')
    }
    await writeStreamAtomic(target, pieces())
    assert.equal(await readFile(target, 'utf8'), 'new')
  })

  it('leaves the target and no temporary file when the source throws', async () => {
    await writeFileAtomic(target, 'old')
    const failure = new Error('the hash is wrong')
    function* pieces() {
      yield Buffer.from('new')
      throw failure
    }
    await assert.rejects(writeStreamAtomic(target, pieces()), failure)
    assert.equal(await readFile(target, 'utf8'), 'old')
    assert.deepEqual(await left(), ['file.bin'])
  })

  it('leaves no temporary file when the target cannot be replaced', async () => {
    await mkdir(join(target, 'occupied'), { recursive: true })
    await assert.rejects(writeFileAtomic(target, 'x'))
    assert.deepEqual(await left(), ['file.bin'])
  })

  it('passes the error of the system on when the folder is missing', async () => {
    await assert.rejects(writeFileAtomic(join(folder, 'no', 'file'), 'x'), { code: 'ENOENT' })
  })

  it('stops at an abort signal, before and between pieces', async () => {
    await writeFileAtomic(target, 'old')
    const reason = new Error('enough')
    await assert.rejects(writeFileAtomic(target, 'new', { signal: AbortSignal.abort(reason) }), {
      code: 'ABORT_ERR',
      cause: reason,
    })
    const controller = new AbortController()
    let closed = false
    function* endless() {
      try {
        for (;;) {
          yield Buffer.from('new')
          controller.abort()
        }
      } finally {
        closed = true
      }
    }
    const { signal } = controller
    await assert.rejects(writeStreamAtomic(target, endless(), { signal }), { code: 'ABORT_ERR' })
    assert(closed, 'the source was not told to stop')
    assert.equal(await readFile(target, 'utf8'), 'old')
    assert.deepEqual(await left(), ['file.bin'])
  })

  it('syncs the file and its folder, the file alone, or nothing, as asked', async () => {
    const handle = await open(folder, 'r')
    const prototype = Object.getPrototypeOf(handle) as typeof handle
    await handle.close()
    const descriptor = Object.getOwnPropertyDescriptor(prototype, 'sync')!
    const sync = descriptor.value as typeof handle.sync
    let synced = 0
    prototype.sync = function (this: typeof handle) {
      synced++
      return sync.call(this)
    }
    try {
      for (const [setting, expected] of [
        ['full', 2],
        ['file', 1],
        ['none', 0],
      ] as const) {
        synced = 0
        await writeFileAtomic(target, setting, { sync: setting })
        assert.equal(await readFile(target, 'utf8'), setting)
        assert.equal(synced, process.platform === 'win32' ? Math.min(expected, 1) : expected)
      }
    } finally {
      Object.defineProperty(prototype, 'sync', descriptor)
    }
  })

  it('takes targets whose name is as long as the file system allows', async () => {
    const name = 'x'.repeat(255)
    await writeFileAtomic(join(folder, name), 'x')
    assert.deepEqual(await left(), [name])
  })

  it('leaves, when killed, a file that is recognised and removed', async () => {
    const script = `
      import { writeStreamAtomic } from ${JSON.stringify(MODULE)}
      async function* pieces() {
        yield Buffer.from('half')
        process.stdout.write('x')
        await new Promise((resolve) => setTimeout(resolve, 60_000))
      }
      await writeStreamAtomic(${JSON.stringify(target)}, pieces())`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')

    const names = await left()
    assert.equal(names.length, 1)
    assert(names.every(isTempFileName))
    await writeFile(join(folder, '.torchbed.tmp'), 'not ours')
    // Its process has ended, which is known at once; of the other one, nothing is known but its age.
    const foreign = '.torchbed-0123456789ab-17-18-00ff00ff00ff.tmp'
    await writeFile(join(folder, foreign), 'half')
    assert.equal(await removeLeftoverTempFiles(folder), 1)
    assert.deepEqual(await left(), [foreign, '.torchbed.tmp'])
    const longAgo = new Date(Date.now() - 2 * 60 * 60 * 1000)
    await utimes(join(folder, foreign), longAgo, longAgo)
    assert.equal(await removeLeftoverTempFiles(folder), 1)
    assert.deepEqual(await left(), ['.torchbed.tmp'])
    assert.equal(await removeLeftoverTempFiles(join(folder, 'no')), 0)
  })
})
