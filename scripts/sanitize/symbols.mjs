/** Names and lines for the frames that ThreadSanitizer leaves as addresses, as it does for loaded libraries. */
import { join } from 'node:path'
import { run } from '../support/process.mjs'

const FRAME = /<null> <null> \((torchbed[\w.]*)\+(0x[0-9a-f]+)\)/g

/**
 * @param {string} report
 * @param {string} libraries folder of the libraries that it names
 */
export async function withSymbols(report, libraries) {
  const addresses = new Map()
  for (const [, library, address] of report.matchAll(FRAME)) {
    addresses.set(library, (addresses.get(library) ?? new Set()).add(address))
  }
  const names = new Map()
  for (const [library, found] of addresses) {
    const args = ['--demangle', '--functions', '--basenames', '-e', join(libraries, library)]
    const { ok, output } = await run('addr2line', [...args, ...found])
    if (!ok) continue
    const lines = output.trim().split('\n') // two for each: the function, then file and line
    for (const [i, address] of [...found].entries()) {
      names.set(`${library}+${address}`, `${lines[2 * i]} ${lines[2 * i + 1]}`)
    }
  }
  return report.replace(FRAME, (whole, library, address) => {
    const place = `${library}+${address}`
    return names.has(place) ? `${names.get(place)} (${place})` : whole
  })
}
