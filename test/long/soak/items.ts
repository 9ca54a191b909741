/** What is repeated in the search for leaks, how often, and what may be left afterwards. */

/** Most that memory may grow by after the warm-up, in bytes. */
export const GROWTH_LIMIT_BYTES = 5 << 20

/** Size of each model in `pressure`, and of each buffer in `lent`, in bytes. */
export const LARGE_BYTES = 8 << 20

export interface Item {
  readonly what: string
  /** How often in a full run; a quick one does a tenth. */
  readonly count: number
  /** Repetitions before the first measurement: until the heaps have grown to what the work needs. */
  readonly warmUp: number
  /** Most models that Python may have held at one time; undefined where it does not matter. */
  readonly mostModels?: number
  /** Variables of the environment that it needs. */
  readonly env?: Readonly<Record<string, string>>
}

/**
 * The C library lets its thresholds grow with the blocks that are freed, and then keeps up to 64 MiB at the top of each
 * thread's heap, which malloc_trim does not give back. Named, the threshold stays what it is at the start, so
 * that free memory is not taken for a leak (man 3 mallopt, M_MMAP_THRESHOLD). For items with blocks of LARGE_BYTES;
 * others would only take longer, 2.6 times as long in the case of `exceptions`.
 */
const FIRST_THRESHOLDS = { MALLOC_TRIM_THRESHOLD_: '131072' }

export const ITEMS = {
  calls: { what: 'calls', count: 200_000, warmUp: 40_000 },
  handles: { what: 'handles left to the garbage collector', count: 20_000, warmUp: 4000 },
  lent: {
    what: 'lent buffers of 8 MiB',
    count: 2000,
    warmUp: 100,
    env: FIRST_THRESHOLDS,
  },
  exceptions: { what: 'exceptions with large frames', count: 2000, warmUp: 100 },
  restarts: { what: 'worker processes, of which every second one dies', count: 200, warmUp: 20 },
  pressure: {
    what: 'models of 8 MiB whose handles are dropped without a forced collection',
    count: 1000,
    warmUp: 50,
    mostModels: 64,
    env: FIRST_THRESHOLDS,
  },
} as const satisfies Record<string, Item>

export type ItemName = keyof typeof ITEMS

/** Memory of a process that has settled, in bytes. */
export interface Memory {
  /** Of its own, as the kernel counts it: heaps of V8, of malloc and of Python, and stacks. */
  readonly anonymous: number
  /** With the files that are mapped, which the kernel may drop and read again. */
  readonly resident: number
  /** What is gained by `malloc_trim`: free before, yet not given back. */
  readonly trimmed: number
  readonly heapUsed: number
  readonly arrayBuffers: number
}

/** What child.ts prints, as one line of JSON. */
export interface Measurement {
  readonly item: ItemName
  /** Repetitions between `warm` and `end`. */
  readonly count: number
  readonly warmUpCount: number
  readonly seconds: number
  readonly before: Memory
  readonly warm: Memory
  readonly end: Memory
  /** `end.anonymous - warm.anonymous`. */
  readonly growthBytes: number
  /** Most models that Python held at one time. */
  readonly mostModels: number
  readonly left: Left
}

/** What is left when all is done; each is to be zero. */
export interface Left {
  /** In Python's table. */
  readonly models: number
  readonly lentBuffers: number
  readonly lentBytes: number
  readonly queued: number
  readonly sessions: number
  /** JavaScript objects that were dropped and are still alive: handles, buffers, errors, runtimes. */
  readonly references: number
  /** Open files and sockets beyond those after the warm-up. */
  readonly files: number
  /** Processes that it started and that are alive. */
  readonly children: number
}

/** What is not as it must be; empty when all is well. */
export function problemsOf(measurement: Measurement): string[] {
  const { item, growthBytes, mostModels, left } = measurement
  const limit: Item = ITEMS[item]
  const problems = Object.entries(left).flatMap(([name, count]: [string, number]) =>
    count > 0 ? [`${count} ${name} are left`] : [],
  )
  if (growthBytes >= GROWTH_LIMIT_BYTES) {
    problems.push(`memory grew by ${mebibytes(growthBytes)}, not by less than 5 MiB`)
  }
  if (limit.mostModels !== undefined && mostModels > limit.mostModels) {
    problems.push(`${mostModels} models piled up, more than ${limit.mostModels}`)
  }
  return problems
}

/** The measurement in one line. */
export function lineOf(measurement: Measurement): string {
  const { item, count, warmUpCount, seconds, warm, end, growthBytes, mostModels } = measurement
  return (
    `${count} ${ITEMS[item].what}: ${mebibytes(warm.anonymous)} after ${warmUpCount} to warm up, ` +
    `${mebibytes(end.anonymous)} at the end, growth ${mebibytes(growthBytes)}, ` +
    `at most ${mostModels} models, ${seconds.toFixed(1)} s`
  )
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(2)} MiB`
}
