import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeFolder } from '../../lib/files/make-folder.js'
import { withSmallDisk } from '../support/small-disk.js'

describe('making a folder', () => {
  let root = ''
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'torchbed-folder-'))
  })
  afterEach(() => rm(root, { recursive: true }))

  for (const sync of ['full', 'none'] as const) {
    it(`makes those above it, and is content when it is there (${sync})`, async () => {
      const folder = join(root, 'a', 'b', 'c')
      await makeFolder(folder, sync)
      await makeFolder(folder, sync)
      assert.ok((await stat(folder)).isDirectory())
    })
  }

  it('takes a path relative to the working folder', async () => {
    const before = process.cwd()
    process.chdir(root)
    try {
      await makeFolder('a/b')
      await makeFolder(join('a', '..', 'c'))
    } finally {
      process.chdir(before)
    }
    assert.ok((await stat(join(root, 'a', 'b'))).isDirectory())
    assert.ok((await stat(join(root, 'c'))).isDirectory())
  })

  it('says that the file system is read-only, however deep the folder is', async function () {
    const ran = await withSmallDisk(join(root, 'disk'), '64k', async (disk) => {
      assert.equal(spawnSync('mount', ['-o', 'remount,ro', disk]).status, 0)
      for (const folder of ['a', 'a/b', 'a/b/c']) {
        await assert.rejects(makeFolder(join(disk, folder)), { code: 'EROFS' })
      }
    })
    if (!ran) this.skip()
  })

  it('ends where a file system says that what is to be made is not there', async function () {
    if (process.platform !== 'linux') this.skip()
    await assert.rejects(makeFolder('/proc/nothing/here'), { code: 'ENOENT' })
  })

  it('fails where a file is in its place', async () => {
    await writeFile(join(root, 'file'), '')
    await assert.rejects(makeFolder(join(root, 'file')), { code: 'EEXIST' })
  })

  it('is made once by many that ask for it at one time', async () => {
    const folder = join(root, 'a', 'b', 'c', 'd')
    await Promise.all(Array.from({ length: 20 }, () => makeFolder(folder)))
    assert.ok((await stat(folder)).isDirectory())
  })

  it('fails with the error of the system where a file is in the way', async () => {
    await writeFile(join(root, 'file'), '')
    for (const path of [['a'], ['a', 'b']]) {
      const making = makeFolder(join(root, 'file', ...path))
      await assert.rejects(making, { code: 'ENOTDIR', syscall: 'mkdir' })
    }
  })
})
