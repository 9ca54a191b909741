/** Makes the system calls of another process fail, or kill it: faults.c, and the orders that it takes. */
import { spawnSync } from 'node:child_process'
import { openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageRoot } from '../../lib/runtime/package-root.js'

/** Calls that can be hit. */
export const OPERATIONS = {
  open: 1,
  write: 2,
  sync: 4,
  rename: 8,
  read: 16,
  unlink: 32,
  touch: 64,
} as const

export type Operation = keyof typeof OPERATIONS

/** What happens to calls that are hit. */
export interface FaultOrder {
  /** Which calls are counted, and may be hit. */
  readonly operations: readonly Operation[]
  /** The first that is hit, from 1. */
  readonly from: number
  /** How many are hit from there on. Default all. */
  readonly calls?: number
  /** An errno such as `EIO`; `short` moves half of the bytes; `kill` sends SIGKILL and `wait` waits before the call. */
  readonly action: 'short' | 'kill' | 'wait' | keyof typeof constants.errno
}

const FIELDS = 7
const FOREVER = 2 ** 31 - 1

/** The file through which orders are given. Its bytes are struct order in faults.c. */
export class FaultFile {
  readonly #file: number

  constructor(path: string) {
    this.#file = openSync(path, 'r+')
  }

  /** Makes a file for a process that is yet to be started. */
  static make(path: string, order?: FaultOrder): FaultFile {
    writeFileSync(path, new Uint8Array(FIELDS * 4))
    const file = new FaultFile(path)
    if (order !== undefined) file.give(order)
    return file
  }

  /** Gives an order in place of the one before; counts start anew. */
  give({ operations, from, calls = FOREVER, action }: FaultOrder): void {
    this.clear()
    const mask = operations.reduce((sum, name) => sum | OPERATIONS[name], 0)
    const kind = { short: 1, kill: 2, wait: 3 }[action as string] ?? 0
    const error = kind === 0 ? constants.errno[action as keyof typeof constants.errno] : 0
    this.#write(1, [calls, mask, kind, error, 0, 0])
    this.#write(0, [from])
  }

  /** Lets all calls pass again. */
  clear(): void {
    this.#write(0, [0])
  }

  /** How many calls the last order has counted, and how many of them it has hit. */
  get counts(): { readonly counted: number; readonly hit: number } {
    const bytes = Buffer.alloc(8)
    readSync(this.#file, bytes, 0, 8, 5 * 4)
    return { counted: bytes.readInt32LE(0), hit: bytes.readInt32LE(4) }
  }

  #write(field: number, values: readonly number[]): void {
    writeSync(this.#file, new Uint8Array(Int32Array.from(values).buffer), 0, null, field * 4)
  }
}

let built: string | undefined

/** The compiled faults.c, made on first use; undefined where there is no C compiler, or no Linux. */
export function faultLibrary(): string | undefined {
  if (process.platform !== 'linux') return undefined
  if (built !== undefined) return built
  const source = join(packageRoot(), 'test', 'long', 'faults.c')
  // Not in the package, whose path may have a space: LD_PRELOAD is a list that spaces divide.
  const target = join(tmpdir(), `torchbed-faults-${process.pid}.so`)
  const args = ['-O1', '-shared', '-fPIC', '-o', target, source, '-ldl']
  const { error, status, stderr } = spawnSync('cc', args, { encoding: 'utf8' })
  if (error !== undefined) return undefined
  if (status !== 0) throw new Error(`cannot compile ${source}: ${stderr}`)
  process.on('exit', () => rmSync(target, { force: true }))
  return (built = target)
}

/** The environment in which a process takes orders. */
export function faultEnvironment(
  library: string,
  root: string,
  file: string,
  log?: string,
): Record<string, string> {
  return {
    LD_PRELOAD: library,
    TORCHBED_FAULT_ROOT: root,
    TORCHBED_FAULT_FILE: file,
    ...(log !== undefined && { TORCHBED_FAULT_LOG: log }),
  }
}
