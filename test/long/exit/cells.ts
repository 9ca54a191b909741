/**
 * The exit matrix: what a process is doing when it leaves, in which way it leaves, and what must be true then.
 * docs/internals/reliability.md explains the rules; this is the one place that decides them.
 */

/** What the process is doing. */
export interface State {
  readonly what: string
  readonly needsTorch: boolean
  /** From being ready to leaving: a random time up to this, in milliseconds, so that runs differ. */
  readonly spreadMs: number
  /** Whether Python is running code, which a way that is not in a hurry lets come to its end. */
  readonly busy: boolean
  /** How many processes it must have started when it leaves, at least. */
  readonly children: number
  /** What may be on stderr beside what the way puts there, and whose it is. */
  readonly noise?: RegExp
  /** Why Python cannot run its exit functions when it is not given the time to finish; else undefined. */
  readonly outOfReach?: string
}

export const STATES = {
  finding: {
    what: 'asking a Python what it is',
    needsTorch: false,
    spreadMs: 8,
    busy: true,
    children: 0,
    outOfReach: 'Python has not been started',
  },
  starting: {
    what: 'starting Python',
    needsTorch: false,
    spreadMs: 15,
    busy: true,
    children: 0,
  },
  importing: {
    what: 'importing torch',
    needsTorch: true,
    spreadMs: 800,
    busy: true,
    children: 0,
  },
  idle: {
    what: 'idle, with a model',
    needsTorch: false,
    spreadMs: 20,
    busy: false,
    children: 0,
  },
  training: {
    what: 'training in a Python loop',
    needsTorch: false,
    spreadMs: 150,
    busy: true,
    children: 0,
  },
  'c-call': {
    what: 'inside one long C call that gives the GIL away',
    needsTorch: true,
    spreadMs: 300,
    busy: true,
    children: 0,
    outOfReach: 'the call lasts longer than the grace',
  },
  'c-call-gil': {
    what: 'inside one long C call that holds the GIL',
    needsTorch: false,
    spreadMs: 300,
    busy: true,
    children: 0,
    outOfReach: 'the call lasts longer than the grace',
  },
  lent: {
    what: 'writing to lent memory',
    needsTorch: false,
    spreadMs: 150,
    busy: true,
    children: 0,
  },
  publishing: {
    what: 'publishing a model of 100 MB',
    needsTorch: true,
    spreadMs: 200,
    busy: true,
    children: 0,
  },
  loader: {
    what: 'holding a DataLoader with two live workers',
    needsTorch: true,
    spreadMs: 50,
    busy: false,
    children: 2,
    // Under plain python too: torch's own SIGCHLD handler, when multiprocessing ends the workers, and
    // multiprocessing's tracker, which outlives a process that was killed, on the semaphores it removes.
    noise:
      /^(?:(?:Error in atexit|Exception ignored in atexit).*\n(?: .*\n)*RuntimeError: DataLoader worker .*Terminated\. *\n|.*UserWarning: resource_tracker: There appear to be \d+ leaked semaphore objects.*\n {2}warnings\.warn\(.*\n)/m,
  },
  thread: {
    what: 'with a non-daemon Python thread that does not end',
    needsTorch: false,
    spreadMs: 50,
    busy: false,
    children: 0,
  },
  worker: {
    what: 'training in a worker_thread, with a runtime in the main thread too',
    needsTorch: false,
    spreadMs: 150,
    busy: true,
    children: 0,
  },
} as const satisfies Record<string, State>

export type StateName = keyof typeof STATES

/** How the process leaves. */
export interface Way {
  readonly what: string
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** What stderr must hold; without it stderr must be empty. */
  readonly stderr?: RegExp
  /** Whether work that has begun is done first. */
  readonly finishes: boolean
  /** Why Python's exit functions cannot run; else undefined. */
  readonly outOfReach?: string
}

export const WAYS = {
  natural: { what: 'natural end', code: 0, signal: null, finishes: true },
  exit: { what: 'process.exit(7)', code: 7, signal: null, finishes: false },
  throw: {
    what: 'uncaught error',
    code: 1,
    signal: null,
    stderr: /Error: leaving by an error/,
    finishes: false,
  },
  reject: {
    what: 'unhandled rejection',
    code: 1,
    signal: null,
    stderr: /Error: leaving by a rejection/,
    finishes: false,
  },
  sigint: {
    what: 'SIGINT',
    code: null,
    signal: 'SIGINT',
    finishes: false,
    outOfReach: 'the kernel ends the process, as it does without Python',
  },
  sigterm: {
    what: 'SIGTERM',
    code: null,
    signal: 'SIGTERM',
    finishes: false,
    outOfReach: 'the kernel ends the process, as it does without Python',
  },
  handler: {
    what: 'SIGTERM, handled by process.exit(7)',
    code: 7,
    signal: null,
    finishes: false,
  },
  terminate: {
    what: 'worker.terminate(), then natural end',
    code: 0,
    signal: null,
    finishes: false,
  },
  close: { what: 'runtime.close(), then natural end', code: 0, signal: null, finishes: true },
} as const satisfies Record<string, Way>

export type WayName = keyof typeof WAYS

/** One state and one way. */
export interface Cell {
  readonly state: StateName
  readonly way: WayName
}

/** What must be true of a cell. */
export interface Expectation {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: RegExp | undefined
  /** Whether Python's exit functions run, once; they must not run where they cannot. */
  readonly exitFunctions: boolean
  /** Why they do, or do not. */
  readonly reason: string
}

/** Longest time from the moment of leaving to the end of the process, in milliseconds. */
export const LEAVING_LIMIT_MS = 3000

/**
 * Longest life of a process that the ended one had started, in milliseconds. Those of a DataLoader look
 * every 5 s whether their parent lives, then end as any python does: which matters when a signal killed it.
 */
export const ORPHAN_LIMIT_MS = { ordinary: 1000, killed: 15_000 } as const

export const ALL_CELLS: readonly Cell[] = Object.keys(STATES).flatMap((state) =>
  Object.keys(WAYS).map((way) => ({ state: state as StateName, way: way as WayName })),
)

export function cellName({ state, way }: Cell): string {
  return `${state}/${way}`
}

export function expectationOf(cell: Cell): Expectation {
  const state: State = STATES[cell.state]
  const way: Way = WAYS[cell.way]
  const { code, signal, stderr } = way
  const outOfReach = way.outOfReach ?? (way.finishes ? undefined : state.outOfReach)
  return {
    code,
    signal,
    stderr,
    exitFunctions: outOfReach === undefined,
    reason:
      outOfReach ??
      (way.finishes && state.busy
        ? 'Python has finished'
        : 'Python comes to rest within the grace'),
  }
}
