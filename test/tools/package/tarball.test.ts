/** What `npm pack` puts into the package. scripts/long/package.mjs installs and compiles it. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { packageRoot } from '../../../lib/runtime/package-root.js'
import { installPacked } from '../../support/packed.js'

const root = packageRoot()
const execute = promisify(execFile)

/** Largest tarball, prebuilt libraries included, in bytes. */
const MAX_TARBALL_BYTES = 2_000_000

interface Manifest {
  readonly scripts: Record<string, string>
  readonly gypfile: boolean
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest

describe('the tarball', function () {
  this.timeout(60_000)
  let folder: string
  let files: Set<string>
  let bytes: number
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-tarball-'))
    // What torchbed/zod wants of its user's own installation comes with it.
    const packed = await installPacked(folder, ['zod'])
    files = new Set(packed.files.map(({ path }) => path))
    bytes = packed.size
  })
  after(() => rm(folder, { recursive: true }))

  const matching = (pattern: RegExp) => [...files].filter((path) => pattern.test(path))

  it('is smaller than 2 MB', () => {
    assert.ok(bytes < MAX_TARBALL_BYTES, `${bytes} bytes`)
  })

  it('holds the library and its types, the Python package and the licence', () => {
    for (const path of [
      'LICENSE',
      'README.md',
      'dist/lib/index.js',
      'dist/lib/index.d.ts',
      'dist/lib/zod.js',
      'dist/lib/cli/main.js',
      'python/torchbed/_host/host.py',
      'python/torchbed/py.typed',
    ]) {
      assert.ok(files.has(path), path)
    }
  })

  it('holds every source that the native build names, and so suffices to compile', () => {
    const system = process.platform === 'win32' ? 'windows' : 'posix'
    const description = readFileSync(join(root, 'CMakeLists.txt'), 'utf8')
    const named = [...description.matchAll(/(?<!bench\/)\bnative\/[\w/${}.]+\.(?:cc|map)\b/g)]
      .map(([path]) => path.replace('${system}', system).replace('${huge_pages}', 'linux'))
      .concat('CMakeLists.txt', 'binding.gyp')
    assert.ok(named.length > 15)
    assert.deepEqual(
      named.filter((path) => !files.has(path)),
      [],
    )
    assert.ok(matching(/^native\/.*\.hpp$/).length > 10)
  })

  it('holds every module that has a source, and none whose source is gone', () => {
    const stale = matching(/^dist\/lib\/.*\.js$/).filter(
      (path) => !existsSync(join(root, path.replace(/^dist\/(.*)\.js$/, '$1.ts'))),
    )
    assert.deepEqual(stale, [], 'delete dist and compile again')
  })

  it('holds no tests, caches, scripts or maps of sources that are not in it', () => {
    const unwanted =
      /^(test|bench|examples|scripts|docs|build)\/|^dist\/(?!lib\/)|__pycache__|\.pyc$|^dist.*\.map$/
    assert.deepEqual(matching(unwanted), [])
  })

  it('has no script that npm would run when it is installed', () => {
    for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) {
      assert.ok(!(name in manifest.scripts), name)
    }
    assert.equal(manifest.gypfile, false)
  })

  it('is loaded by require() as well as by import', async () => {
    const body = 'console.log(typeof TorchProject.open, typeof zod.zodSchema)\n'
    await writeFile(
      join(folder, 'a.cjs'),
      `const { TorchProject } = require('torchbed')\nconst zod = require('torchbed/zod')\n${body}`,
    )
    await writeFile(
      join(folder, 'a.mjs'),
      `import { TorchProject } from 'torchbed'\nimport * as zod from 'torchbed/zod'\n${body}`,
    )
    for (const name of ['a.cjs', 'a.mjs']) {
      const { stdout } = await execute(process.execPath, [name], { cwd: folder })
      assert.match(stdout, /^function function\n$/, name)
    }
  })
})
