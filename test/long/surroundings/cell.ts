/** Runs one cell of cells.ts in a process of its own, and says what was not as it must be. */
import { spawn, execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { findPython, probePython } from '../../../lib/runtime/python/find-python.js'
import { packageRoot } from '../../../lib/runtime/package-root.js'
import { interpreter } from '../../runtime/interpreters.js'
import { commandOf, isAlive, leftBehind } from '../processes.js'
import { bundleApp } from './bundle.js'
import { CELL_LIMIT_MS, CELLS, type Cell, type Given } from './cells.js'
import { installCopy } from './copy.js'

export interface CellOptions {
  /** Path of the Node.js that runs it. Default: this one. */
  readonly node?: string | undefined
  /** Path of the bundler; the cells of `bundles` need it. */
  readonly esbuild?: string | undefined
  /** Default: the cell of that name. */
  readonly cell?: Cell | undefined
}

export interface CellResult {
  /** Empty when all is well. */
  readonly problems: readonly string[]
  readonly ms: number
  /** For people: what was expected and what came. */
  readonly report: string
}

/** Longest life of a process that the ended one had started, in milliseconds. */
const ORPHAN_LIMIT_MS = 1000

const run = promisify(execFile)
const CHILD = fileURLToPath(new URL('child.js', import.meta.url))
const FOLDERS = { odd: 'torchbed übung ✓ ', 'read-only': 'torchbed-mount-', second: 'torchbed-' }

/** Null when this machine lacks what the cell needs. */
export async function runCell(name: string, options: CellOptions = {}): Promise<CellResult | null> {
  const cell = options.cell ?? CELLS.get(name)
  if (cell === undefined) throw new Error(`there is no cell "${name}"`)
  const machine = await describeMachine()
  if (cell.needsOther && machine.otherLibrary === undefined) return null
  const prefix = cell.copy === undefined ? 'torchbed-around-' : FOLDERS[cell.copy]
  const folder = await mkdtemp(join(tmpdir(), prefix))
  try {
    const given = { ...machine, folder, installed: join(folder, 'node_modules', 'torchbed') }
    if (cell.copy !== undefined) await installCopy(folder)
    if (cell.certificate) await makeCertificate(folder)
    return await runChild(name, cell, given, options)
  } finally {
    await rm(folder, { recursive: true, maxRetries: 3 })
  }
}

interface Machine extends Pick<Given, 'otherLibrary' | 'openssl'> {
  readonly python: string
}

let machine: Promise<Machine> | undefined

function describeMachine(): Promise<Machine> {
  machine ??= (async () => {
    const { executable, versionInfo } = await findPython()
    const say = 'import ssl; print(ssl.OPENSSL_VERSION)'
    const openssl = (await run(executable, ['-c', say])).stdout.trim()
    const minors = [11, 12, 13, 14].filter((minor) => minor !== versionInfo[1])
    let otherLibrary: string | undefined
    for (const minor of minors) {
      const other = await interpreter(`3.${minor}`)
      if (other === null || otherLibrary !== undefined) continue
      const { basePrefix } = await probePython(other)
      otherLibrary = join(basePrefix, 'lib', `python3.${minor}`)
    }
    return { python: executable, openssl, otherLibrary }
  })()
  return machine
}

async function makeCertificate(folder: string): Promise<void> {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout']
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  const files = [...key, join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')]
  await run('openssl', ['req', '-x509', '-days', '1', ...files, ...name])
}

async function runChild(
  name: string,
  cell: Cell,
  given: Given & Machine,
  { node = process.execPath, esbuild }: CellOptions,
): Promise<CellResult> {
  const { folder } = given
  const program = cell.bundle === undefined ? CHILD : await bundleApp(cell.bundle, folder, esbuild)
  const variable = `SURROUND_FOLDER=${folder}`
  await mkdir(join(folder, 'tmp'))
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    TMPDIR: join(folder, 'tmp'),
    TORCHBED_PYTHON: given.python,
    TORCHBED_WORKLOADS: join(packageRoot(), 'test', 'workloads'),
    SURROUND_FOLDER: folder,
    NODE_OPTIONS: undefined,
    ...cell.env?.(given),
  }
  const before = cell.shell === undefined ? '' : `${cell.shell}; `
  const command = ['-c', `${before}exec "$0" "$@"`, node, program, cell.action, folder]
  const [file, args] = cell.copy === 'read-only' ? mountedReadOnly(command, given) : ['sh', command]
  const began = performance.now()
  const child = spawn(file, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  if (child.pid === undefined) throw new Error(`cannot start ${file}`)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const timer = setTimeout(() => child.kill('SIGKILL'), CELL_LIMIT_MS)
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  clearTimeout(timer)
  const ms = performance.now() - began
  const orphans = await endOrphans(child.pid, variable)
  const written = await readFile(join(folder, 'result.json'), 'utf8').catch(() => undefined)
  const result: unknown = written === undefined ? undefined : JSON.parse(written)

  const ending = signal ?? `exit code ${code ?? 'unknown'}`
  const expectedEnding = `exit code ${cell.code ?? 0}`
  const problems: string[] = []
  if (ms >= CELL_LIMIT_MS) problems.push(`did not end in ${CELL_LIMIT_MS} ms`)
  if (ending !== expectedEnding) problems.push(`ended with ${ending}, not with ${expectedEnding}`)
  if (!fits(cell.result, result)) problems.push('left another result')
  for (const [stream, text] of Object.entries({ stdout, stderr })) {
    const pattern = cell[stream as 'stdout' | 'stderr'] ?? /^$/
    if (!pattern.test(text)) problems.push(`has a ${stream} that does not match ${String(pattern)}`)
  }
  for (const orphan of orphans) problems.push(`left process ${orphan} behind`)
  const report = [
    `cell      ${name}: a process ${cell.what}`,
    `expected  ${expectedEnding}, ${show(cell.result)}`,
    `came      ${ending}, ${show(result)}, ${Math.round(ms)} ms`,
    `stdout    ${stdout.trimEnd().slice(-2000)}`,
    `stderr    ${stderr.trimEnd().slice(-2000)}`,
  ].join('\n')
  return { problems, ms, report }
}

/** The folder of the copy refuses every write, root's too: a mount that this process alone sees. */
function mountedReadOnly(command: string[], { installed }: Given): [string, string[]] {
  const mount = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec sh "$@"'
  return ['unshare', ['--mount', '--map-root-user', 'sh', '-c', mount, 'sh', installed, ...command]]
}

/** Whether a value is as expected, where a regular expression stands for the text of a value. */
export function fits(expected: unknown, actual: unknown): boolean {
  if (expected instanceof RegExp) {
    return ['string', 'number'].includes(typeof actual) && expected.test(String(actual))
  }
  if (typeof expected !== 'object' || expected === null) return Object.is(expected, actual)
  if (typeof actual !== 'object' || actual === null) return false
  const [wanted, given] = [Object.entries(expected), Object.entries(actual)]
  return (
    Array.isArray(expected) === Array.isArray(actual) &&
    wanted.length === given.length &&
    wanted.every(([key, value]) => fits(value, (actual as Record<string, unknown>)[key]))
  )
}

function show(value: unknown): string {
  const text = (_: string, one: unknown) => (one instanceof RegExp ? String(one) : one)
  return JSON.stringify(value, text)
}

/** Waits for what a process has left behind, kills what stays, and names that. */
async function endOrphans(pid: number, variable: string): Promise<string[]> {
  const deadline = performance.now() + ORPHAN_LIMIT_MS
  let orphans = await leftBehind(pid, variable)
  while (orphans.length > 0 && performance.now() < deadline) {
    await delay(50)
    orphans = await leftBehind(pid, variable)
  }
  const names: string[] = []
  for (const orphan of orphans) {
    names.push(`${orphan.pid} (${await commandOf(orphan)})`)
    if (await isAlive(orphan)) process.kill(orphan.pid, 'SIGKILL')
  }
  return names
}
