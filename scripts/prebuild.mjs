/**
 * Build the libraries that the npm package carries, into prebuilds/<platform>-<arch>: `npm run build:prebuilds`.
 *
 * docs/internals/building.md says what they run on. The exit code is 1 when they would not run there.
 */
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import process from 'node:process'
import { parseArgs, promisify } from 'node:util'
import { baselineFaults, glibcOf, OLDEST_GLIBC } from './prebuild/baseline.mjs'
import { ARCHITECTURES } from './prebuild/architectures.mjs'
import { Failure, reportFailure } from './support/failure.mjs'
import { ROOT } from './support/paths.mjs'
import { note } from './support/progress.mjs'

const HELP = `Build the libraries that the npm package carries, into prebuilds/<platform>-<arch>.

Usage: npm run build:prebuilds -- [options]

  --arch ARCH     ${Object.keys(ARCHITECTURES).join(' or ')}; default: this machine's
  --sysroot DIR   root of an old Linux to compile against; / for this machine's own.
                  Default: made from Debian packages in build/sysroots
  --help          print this help

Examples:
  npm run build:prebuilds
  npm run build:prebuilds -- --arch arm64     needs aarch64-linux-gnu-g++ on another machine`

class UsageFailure extends Failure {}

try {
  const options = readOptions()
  if (options.help) console.log(HELP)
  else await prebuild(options)
} catch (error) {
  reportFailure('The prebuild', error)
  process.exitCode = error instanceof UsageFailure ? 2 : 1
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        arch: { type: 'string', default: process.arch },
        sysroot: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    })
    if (process.platform === 'linux' && ARCHITECTURES[values.arch] === undefined) {
      throw new Error(`there is no --arch ${JSON.stringify(values.arch)}`)
    }
    return values
  } catch (error) {
    throw new UsageFailure(error.message, 'see npm run build:prebuilds -- --help')
  }
}

async function prebuild({ arch, sysroot }) {
  const { platform } = process
  const prebuildify = createRequire(import.meta.url)('prebuildify')
  const tuple = `${platform}-${arch}`
  const libc = isMusl() ? 'musl' : 'glibc'
  const staging = join(ROOT, 'build', 'prebuild', tuple)
  await rm(staging, { recursive: true, force: true })
  await mkdir(staging, { recursive: true })
  if (sysroot !== undefined) process.env.TORCHBED_SYSROOT = sysroot
  const shim = join(ROOT, 'scripts', 'prebuild', 'node-gyp.mjs')
  const isCross = platform === 'linux' && arch !== process.arch
  await promisify(prebuildify)({
    name: 'torchbed',
    napi: true,
    arch,
    libc,
    tagLibc: platform === 'linux',
    strip: true,
    stripBin: isCross ? `${ARCHITECTURES[arch].triplet}-strip` : 'strip',
    nodeGyp: platform === 'win32' ? `"${process.execPath}" "${shim}"` : shim,
    // Folders of its own: prebuildify moves what is in build/Release, and what is refused is not to be packed.
    cwd: staging,
    out: staging,
    quiet: false,
  })
  const built = join(staging, 'prebuilds', tuple)
  await check(built, arch)
  const folder = join(ROOT, 'prebuilds', tuple)
  await mkdir(folder, { recursive: true })
  await removeOld(folder, platform === 'linux' ? libc : null)
  for (const name of await readdir(built)) await rename(join(built, name), join(folder, name))
}

/** Says of each library how large it is and what it needs. */
async function check(folder, arch) {
  const faults = []
  for (const name of (await readdir(folder)).sort()) {
    const path = join(folder, name)
    const kilobytes = ((await stat(path)).size / 1000).toFixed(0)
    const isChecked = name.includes('.glibc.')
    const needs = isChecked ? `, needs glibc ${await glibcOf(path)}` : ''
    note(`prebuilds/${process.platform}-${arch}/${name}: ${kilobytes} kB${needs}`)
    if (isChecked) faults.push(...(await baselineFaults(path, arch)))
  }
  if (faults.length > 0) {
    throw new Failure(
      `the prebuild would not run everywhere:\n  ${faults.join('\n  ')}`,
      `compile against a system whose glibc is ${OLDEST_GLIBC} or a little newer: docs/internals/building.md`,
    )
  }
}

/** What an earlier run left; a libc's libraries leave those of the other alone. */
async function removeOld(folder, libc) {
  const names = await readdir(folder).catch(() => [])
  for (const name of names) {
    if (libc === null || name.split('.').includes(libc)) await rm(join(folder, name))
  }
}

function isMusl() {
  const { header } = process.report?.getReport() ?? {}
  return process.platform === 'linux' && header?.glibcVersionRuntime === undefined
}
