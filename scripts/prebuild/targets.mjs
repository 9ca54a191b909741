/** How prebuilds for Linux are compiled: the variables for CMake. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ARCHITECTURES } from './architectures.mjs'
import { sysroot } from './sysroot.mjs'

/**
 * Variables for CMake that make libraries for old systems of one architecture: headers, libc and C++ library are those
 * of a sysroot, the compiler is this machine's.
 *
 * @param {string} arch as `process.arch`
 * @param {string} given a folder with the root of an old system, or `/` to compile against this one
 * @returns {Promise<Record<string, string>>}
 */
export async function glibcVariables(arch, given) {
  const { triplet, processor } = ARCHITECTURES[arch]
  const portable = { TORCHBED_PORTABLE: 'ON' }
  if (given === '/') return portable
  const root = given ?? (await sysroot(arch))
  const gcc = join(root, 'usr', 'lib', 'gcc', triplet, '10')
  const headers = [
    join(root, 'usr', 'include', 'c++', '10'),
    join(root, 'usr', 'include', triplet, 'c++', '10'),
  ].filter((folder) => existsSync(folder))
  // A given root may have another compiler's C++ library, which its own compiler then knows.
  const own = headers.length > 0 && existsSync(gcc)
  const compile = own ? ['-nostdinc++', ...headers.map((folder) => `-isystem "${folder}"`)] : []
  // Debian's compiler looks into this machine's own folders before those of the sysroot.
  const folders = [gcc, join(root, 'usr', 'lib', triplet), join(root, 'lib', triplet)]
  const link = own ? folders.map((folder) => `-B"${folder}" -L"${folder}"`).join(' ') : ''
  return {
    ...portable,
    CMAKE_SYSTEM_NAME: 'Linux',
    CMAKE_SYSTEM_PROCESSOR: processor,
    CMAKE_CXX_COMPILER: `${triplet}-g++`,
    CMAKE_SYSROOT: root,
    CMAKE_CXX_FLAGS: compile.join(' '),
    CMAKE_MODULE_LINKER_FLAGS: link,
    CMAKE_EXE_LINKER_FLAGS: link,
  }
}
