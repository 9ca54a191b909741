/** The Node.js that runs this must be one that package.json allows. */
import process from 'node:process'
import { join } from 'node:path'
import { Failure } from '../support/failure.mjs'
import { ROOT } from '../support/paths.mjs'
import { readJson } from '../support/stamp.mjs'

export async function checkNodeVersion() {
  const { engines } = await readJson(join(ROOT, 'package.json'))
  if (satisfies(process.versions.node, engines.node)) return
  throw new Failure(
    `Node.js ${process.versions.node} (${process.execPath}) is not supported: ` +
      `package.json asks for ${engines.node}`,
    'install a current LTS release of Node.js, and put it first on PATH',
  )
}

/** Whether a version lies in a range made of `^a.b.c` and `>=a.b.c`, joined by `||`. */
export function satisfies(version, range) {
  const wanted = numbers(version)
  return range.split('||').some((part) => {
    const [, operator, least] = /^\s*(\^|>=)\s*(\d+\.\d+\.\d+)\s*$/.exec(part) ?? []
    if (least === undefined) throw new Error(`cannot read the version range "${range}"`)
    const floor = numbers(least)
    return isAtLeast(wanted, floor) && (operator === '>=' || wanted[0] === floor[0])
  })
}

const numbers = (version) => version.split(/[.-]/, 3).map(Number)

function isAtLeast(version, floor) {
  const different = version.findIndex((part, index) => part !== floor[index])
  return different === -1 || version[different] > floor[different]
}
