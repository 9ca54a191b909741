import { createRequire } from 'node:module'
import { AddonError, RuntimeConflictError } from '../../errors.js'
import { addonRepair, findAddon, libraryBeside } from './addon-place.js'
import type { ProgressPieces } from './progress-hub.js'
import type { PyValue } from '../values.js'

/** The bridge as native/bridge/bridge.cc exports it; one per environment, all over one interpreter. */
export interface Bridge {
  listen(
    onOutput: (pieces: OutputPieces) => void,
    onProgress: (pieces: ProgressPieces) => void,
  ): void
  start(options: {
    executable: string
    version: string
    pythonRoot: string
    env: Readonly<Record<string, string>>
  }): Promise<null>
  /**
   * The last six are an `EncodedValue`; `id` is the caller's own, for `cancel`; `title` is what `status` calls it.
   * `spins`: option `latency: 'low'`.
   */
  call(
    session: number,
    id: number,
    method: string,
    title: string,
    spins: boolean,
    isUrgent: boolean,
    wantsProgress: boolean,
    words: Uint32Array,
    wordCount: number,
    numbers: Float64Array,
    numberCount: number,
    text: string,
    objects: readonly unknown[],
  ): Promise<PyValue>
  cancel(id: number): void
  /** True if it was running: its caller no longer waits, and Python is overdue until it returns. */
  giveUp(id: number): boolean
  isOverdue(): boolean
  /** What Python's thread is doing, as faulthandler writes it, innermost first; empty when that cannot be told. */
  pythonStack(): string
  takeProgress(): ProgressPieces
  /** Tells V8 that JavaScript objects keep so much more memory alive outside its heap, or below zero, less. */
  adjustExternalMemory(bytes: number): void
  release(session: number, model: number): void
  /** The session is closed when this environment ends, unless it is disowned before. */
  ownSession(session: number): void
  disownSession(session: number): void
  shutDown(graceMs: number, exitStatus: number): boolean
  endNow(exitStatus: number): void
  takeOutput(): OutputPieces
  status(): BridgeStatus
  /** What the loaded library says of itself, started or not: `3.11.7 (main, …)`. */
  pythonVersion(): string
}

/** What Python in this process is doing. */
export interface BridgeStatus {
  readonly state: 'absent' | 'starting' | 'running' | 'failed'
  readonly executable: string
  readonly queued: number
  /** What the running call is called; empty when none runs. */
  readonly method: string
  readonly ageMs: number
  readonly isOverdue: boolean
  readonly models: number
  readonly lentBuffers: number
  readonly lentBytes: number
}

/** `[stream, text, stream, text, …]`; 1 is stdout, 2 is stderr. */
export type OutputPieces = (number | string)[]

interface Loader {
  load(libpython: string, bridge: string): Bridge
  loaded(): string | null
}

const require = createRequire(import.meta.url)

let bridge: Bridge | undefined

/**
 * Loads the addon and, through it, libpython for the whole process.
 * Throws {@link AddonError} when the addon is absent or does not load, {@link RuntimeConflictError}
 * when the process already runs another libpython.
 */
export function loadBridge(libpython: string, ...listeners: Parameters<Bridge['listen']>): Bridge {
  if (bridge !== undefined) return bridge
  const path = addonPath()
  const loader = requireLoader(path)
  const running = loader.loaded()
  if (running !== null && running !== libpython) {
    throw new RuntimeConflictError(
      `Cannot load ${libpython}: this process already runs ${running}, and a process can run only one`,
    )
  }
  try {
    bridge = loader.load(libpython, libraryBeside(path, 'bridge'))
  } catch (cause) {
    throw new AddonError(`Cannot load ${libpython} into this process: ${String(cause)}`, { cause })
  }
  bridge.listen(...listeners)
  return bridge
}

function addonPath(): string {
  return findAddon().path
}

function requireLoader(path: string): Loader {
  try {
    return require(path) as Loader
  } catch (cause) {
    throw new AddonError(`Cannot load torchbed's native addon ${path}: ${String(cause)}`, {
      ...addonRepair(),
      cause,
    })
  }
}
