/** What the libraries of the package may need of a system. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { libraryBeside } from '../../../lib/runtime/embedded/addon-place.js'
import { packageRoot } from '../../../lib/runtime/package-root.js'

interface Baseline {
  readonly baselineFaults: (path: string, arch: string) => Promise<string[]>
  readonly glibcOf: (path: string) => Promise<string>
}

const root = packageRoot()
const script = join(root, 'scripts', 'prebuild', 'baseline.mjs')
const { baselineFaults, glibcOf } = (await import(pathToFileURL(script).href)) as Baseline

const folder = (arch: string) => join(root, 'prebuilds', `linux-${arch}`)
const libraries = (arch: string) =>
  readdirSync(folder(arch)).filter((name) => name.includes('.glibc.'))

const isLinuxX64 = process.platform === 'linux' && process.arch === 'x64'
const linuxIt = isLinuxX64 ? it : it.skip

describe('the libraries of the package', () => {
  for (const arch of ['x64', 'arm64']) {
    const isBuilt = existsSync(folder(arch)) && libraries(arch).length > 0
    const builtIt = isBuilt ? it : it.skip
    const why = isBuilt ? '' : ' (skipped: no prebuild; npm run build:prebuilds makes it)'
    builtIt(`run on every linux-${arch} from glibc 2.28 on${why}`, async () => {
      assert.deepEqual(libraries(arch), [
        'torchbed.glibc.node',
        'torchbed_bridge.glibc.so',
        'torchbed_numerics.glibc.so',
      ])
      for (const name of libraries(arch)) {
        assert.deepEqual(await baselineFaults(join(folder(arch), name), arch), [])
        assert.match(await glibcOf(join(folder(arch), name)), /^2\.(1\d|2[0-8])$/)
      }
    })
  }

  // Node.js itself stands for a library that was compiled in another way.
  linuxIt('are refused when they were compiled for another processor', async () => {
    const faults = await baselineFaults(process.execPath, 'arm64')
    assert.ok(
      faults.some((fault) => fault.endsWith('is for machine 62, not arm64')),
      faults.join('\n'),
    )
  })

  linuxIt('are refused when they need the C++ library of the system, as Node.js does', async () => {
    const faults = await baselineFaults(process.execPath, 'x64')
    const some = (pattern: RegExp) => assert.ok(faults.some((fault) => pattern.test(fault)))
    some(/needs libstdc\+\+\.so\.6$/)
    some(/needs \S+ of GLIBCXX_[\d.]+ in libstdc\+\+\.so\.6$/)
    some(/offers \S+, which may be mistaken for another's$/)
  })

  it('are three by three in a folder: a loader finds the others for its own libc', () => {
    const beside = (name: string) => libraryBeside(join(root, name), 'bridge')
    assert.equal(beside('torchbed.node'), join(root, 'torchbed_bridge.so'))
    assert.equal(beside('torchbed.glibc.node'), join(root, 'torchbed_bridge.glibc.so'))
    assert.equal(beside('torchbed.musl.node'), join(root, 'torchbed_bridge.musl.so'))
    const numerics = libraryBeside(join(root, 'torchbed.musl.node'), 'numerics')
    assert.equal(numerics, join(root, 'torchbed_numerics.musl.so'))
  })
})
