/** Node.js, the operating system and its C library. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../runtime/package-root.js'
import type { Check } from './check.js'

/** Whether this Node.js is one that package.json allows. */
export function checkNode(version = process.versions.node): Check {
  const { engines } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
    engines: { node: string }
  }
  const name = 'node'
  if (satisfies(version, engines.node)) {
    return { name, status: 'ok', value: `${version} (${process.execPath})` }
  }
  return {
    name,
    status: 'failure',
    value: version,
    detail: `Node.js ${version} (${process.execPath}) is not supported: torchbed needs ${engines.node}`,
    remedy: 'nvm install --lts',
  }
}

/** Platform, processor and C library, which choose the addon. */
export function checkPlatform(): Check {
  const libc = process.platform === 'linux' ? `, ${libcName()}` : ''
  return {
    name: 'platform',
    status: 'ok',
    value: `${process.platform} ${process.arch}${libc}`,
  }
}

/** Such as `glibc 2.36`, or `musl`, whose version a process cannot ask for. */
function libcName(): string {
  const report = process.report.getReport() as {
    header?: { glibcVersionRuntime?: string }
    sharedObjects?: string[]
  }
  const version = report.header?.glibcVersionRuntime
  if (version !== undefined) return `glibc ${version}`
  const isMusl = report.sharedObjects?.some((path) => path.includes('musl')) === true
  return isMusl ? 'musl' : 'an unknown C library'
}

/** Whether a version lies in a range made of `^a.b.c` and `>=a.b.c`, joined by `||`. */
function satisfies(version: string, range: string): boolean {
  const wanted = numbers(version)
  return range.split('||').some((part) => {
    const [, operator, least = ''] = /^\s*(\^|>=)\s*(\d+\.\d+\.\d+)\s*$/.exec(part) ?? []
    const floor = numbers(least)
    return isAtLeast(wanted, floor) && (operator === '>=' || wanted[0] === floor[0])
  })
}

function numbers(version: string): number[] {
  return version.split(/[.-]/, 3).map(Number)
}

function isAtLeast(version: readonly number[], floor: readonly number[]): boolean {
  const at = version.findIndex((part, index) => part !== floor[index])
  return at === -1 || (version[at] ?? 0) > (floor[at] ?? Infinity)
}
