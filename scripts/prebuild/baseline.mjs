/** Holds a prebuild to the oldest systems that it is to run on. */
import { basename } from 'node:path'
import { ARCHITECTURES } from './architectures.mjs'
import { readElf } from './elf.mjs'

/** The oldest glibc: that of Node.js 20's own builds and of torch's wheels (manylinux_2_28). */
export const OLDEST_GLIBC = '2.28'

/** Libraries of glibc itself; the C++ runtime is inside. */
const LIBC = ['libc.so.6', 'libm.so.6', 'libdl.so.2', 'libpthread.so.0']

/** What Node.js and libpython give without a version: Node-API, and Python's stable ABI. */
const OF_THE_PROCESS = /^(napi|node_api|_?Py)/

/** Entry points, and the variable that several copies in one process share. */
const OFFERED =
  /^(napi_register_module_v\d+|node_api_module_get_api_version_v\d+|torchbed_\w+|_ZN8torchbed\w+)$/

/**
 * @param {string} path a library
 * @param {string} arch as `process.arch`
 * @returns {Promise<string[]>} what is wrong with it, a sentence for each; empty when nothing is
 */
export async function baselineFaults(path, arch) {
  const { machine, loader } = ARCHITECTURES[arch]
  const elf = await readElf(path)
  const name = basename(path)
  const faults = []
  if (elf.machine !== machine) faults.push(`${name} is for machine ${elf.machine}, not ${arch}`)
  for (const library of elf.needed) {
    if (![...LIBC, loader].includes(library)) faults.push(`${name} needs ${library}`)
  }
  for (const symbol of elf.imported) {
    const fault = importFault(symbol)
    if (fault !== null) faults.push(`${name} needs ${symbol.name} ${fault}`)
  }
  for (const symbol of elf.exported) {
    if (!OFFERED.test(symbol))
      faults.push(`${name} offers ${symbol}, which may be mistaken for another's`)
  }
  return faults
}

function importFault({ name, version, library, isWeak }) {
  // A weak one may be absent; but one that has a version must come in that version.
  if (version === null) return isWeak || OF_THE_PROCESS.test(name) ? null : 'of no known library'
  const [, glibc] = /^GLIBC_([\d.]+)$/.exec(version) ?? []
  if (glibc === undefined) return `of ${version} in ${library}`
  return isNewer(glibc, OLDEST_GLIBC)
    ? `of glibc ${glibc}, and ${OLDEST_GLIBC} is the oldest`
    : null
}

/** Newest version of glibc that a library asks for, such as `2.17`. */
export async function glibcOf(path) {
  const { imported } = await readElf(path)
  const versions = imported.flatMap(
    ({ version }) => /^GLIBC_([\d.]+)$/.exec(version ?? '')?.[1] ?? [],
  )
  return versions.reduce((newest, version) => (isNewer(version, newest) ? version : newest), '0')
}

function isNewer(one, other) {
  const [a, b] = [one, other].map((text) => text.split('.').map(Number))
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0)
    if (difference !== 0) return difference > 0
  }
  return false
}
