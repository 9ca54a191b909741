/**
 * Headers, libc and C++ library of an old Linux, for prebuilds that run on it and on every newer one.
 *
 * Debian 11 has glibc 2.31. What is compiled against it needs no symbol younger than 2.28 but one, which is taken out.
 */
import { existsSync } from 'node:fs'
import {
  lstat,
  mkdir,
  readFile,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { unpackDebian } from './debian.mjs'
import { ARCHITECTURES } from './architectures.mjs'
import { ROOT } from '../support/paths.mjs'
import { step } from '../support/progress.mjs'

const SUITE = 'bullseye'

const PACKAGES = [
  'libc6',
  'libc6-dev',
  'linux-libc-dev',
  'libgcc-s1',
  'libgcc-10-dev',
  'libstdc++-10-dev',
]

/** @returns {Promise<string>} the folder, made if it is not there */
export async function sysroot(arch) {
  const { debian, triplet } = ARCHITECTURES[arch]
  const folder = join(ROOT, 'build', 'sysroots', `${SUITE}-${debian}`)
  if (existsSync(folder)) return folder
  await step(`system root of ${SUITE} for ${arch} (apt-get download)`, async () => {
    // Renamed when complete, so that a kill does not leave half of one.
    const unfinished = `${folder}.${process.pid}`
    await mkdir(dirname(folder), { recursive: true })
    await rm(unfinished, { recursive: true, force: true })
    await unpackDebian(unfinished, { suite: SUITE, arch: debian, packages: PACKAGES })
    await makeLinksRelative(unfinished, unfinished)
    await lowerBaseline(join(unfinished, 'usr/include', triplet, 'c++/10/bits/c++config.h'))
    await rename(unfinished, folder)
  })
  return folder
}

/** `/lib/…/libdl.so.2` would lead into this machine's own system. */
async function makeLinksRelative(root, folder) {
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const entry = await lstat(path)
    if (entry.isDirectory()) await makeLinksRelative(root, path)
    if (!entry.isSymbolicLink()) continue
    const target = await readlink(path)
    if (!target.startsWith('/')) continue
    await rm(path)
    await symlink(relative(dirname(path), join(root, target)), path)
  }
}

/**
 * As libstdc++ configures itself where libc is older than 2.30: a wait with a deadline of the steady clock then asks
 * the system's clock in between, and looks at the steady one before it says that time is up.
 */
async function lowerBaseline(path) {
  const text = await readFile(path, 'utf8')
  const lowered = text.replace(/^#define _GLIBCXX_USE_PTHREAD_COND_CLOCKWAIT 1$/m, '')
  if (lowered === text) throw new Error(`${path} does not define the clock of waits`)
  await writeFile(path, lowered)
}
