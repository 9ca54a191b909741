/** The part `cross`: the native libraries for Windows, compiled and linked on Linux, and what they ask of a process. */
import { basename } from 'node:path'
import { buildWindows, missingPrograms, OBJDUMP } from '../cross/windows.mjs'
import { run as runProgram } from '../support/process.mjs'
import { note } from '../support/progress.mjs'
import { isAsked } from './asked.mjs'

const CELL = 'cross/windows-x64'

/** Of each library: what it is bound to, and what others find in it. msvcrt and KERNEL32 are Windows' own. */
const EXPECTED = {
  'torchbed.node': {
    needs: ['KERNEL32.dll', 'msvcrt.dll', 'node.exe'],
    offers: ['napi_register_module_v1', 'node_api_module_get_api_version_v1'],
  },
  'torchbed_bridge.dll': {
    needs: ['KERNEL32.dll', 'msvcrt.dll', 'node.exe', 'python3.dll'],
    offers: ['torchbed_bridge_init'],
  },
  'torchbed_numerics.dll': {
    needs: ['KERNEL32.dll', 'msvcrt.dll', 'node.exe'],
    offers: ['napi_register_module_v1', 'node_api_module_get_api_version_v1'],
  },
  'torchbed_exit.dll': {
    needs: ['KERNEL32.dll', 'msvcrt.dll'],
    offers: ['torchbed_at_end'],
  },
}

export async function run({ cell }) {
  if (!isAsked(CELL, cell)) return { cells: 0, failures: [] }
  const missing = await missingPrograms()
  if (missing.length > 0) {
    note(`SKIPPED ${CELL}: ${missing.join(', ')} not on PATH (Debian: g++-mingw-w64-x86-64)`)
    return { cells: 0, failures: [] }
  }
  const faults = await faultsOfBuild()
  note(`${faults.length === 0 ? 'ok    ' : 'FAILED'} ${CELL}`)
  if (faults.length === 0) return { cells: 1, failures: [] }
  const repeat = 'npm run test:long -- --only cross'
  return { cells: 1, failures: [{ name: CELL, details: faults.join('\n'), repeat }] }
}

async function faultsOfBuild() {
  let libraries
  try {
    libraries = await buildWindows()
  } catch (error) {
    return [error.message, error.details ?? error.stack]
  }
  const faults = []
  for (const path of libraries) {
    const { output } = await runProgram(OBJDUMP, ['-p', path])
    faults.push(...differences(basename(path), output))
  }
  return faults
}

function differences(name, dump) {
  const needs = [...dump.matchAll(/DLL Name: (\S+)/g)].map(([, library]) => library)
  const [, table = ''] = /\[Ordinal\/Name Pointer\] Table([\s\S]*?)\n\s*\n/.exec(dump) ?? []
  const offers = [...table.matchAll(/\[\s*\d+\]\s+(\w+)/g)].map(([, symbol]) => symbol)
  return Object.entries({ needs, offers })
    .filter(([what, found]) => found.sort().join() !== EXPECTED[name][what].join())
    .map(([what, found]) => `${name} ${what} ${found.join()}, not ${EXPECTED[name][what].join()}`)
}
