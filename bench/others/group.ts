/**
 * The rows that another bridge can do as well: theirs divided by torchbed's.
 *
 * Both sides run the same operations (operations.ts) over the same Python code, each in a separate process, in
 * turn; the one that is not asked is idle.
 */

import { findPython } from '../../lib/index.js'
import { digitsExample } from '../examples.js'
import { median } from '../measure.js'
import { measured, skipped, type Effort, type Group, type Row, type RowSpec } from '../row.js'
import type { Answer, Operation } from './operations.js'
import { install, OTHER_PACKAGES, type OtherPackage } from './packages.js'
import { CannotDoIt, Pair, type Sides } from './pair.js'

/** A live model's size in megabytes, in full, and with `--quick`. */
const SIZES = [
  { full: 4, quick: 4 },
  { full: 100, quick: 16 },
  { full: 400, quick: 32 },
]

/** How long the rounds of one row of bytes may take, in milliseconds; one is always made. */
const BYTES_BUDGET_MS = 15_000

const MINIBATCH = 32

/** How often a window in training is disturbed by another call, in milliseconds. */
const CALL_EVERY_MS = 20

/** One row, without the package's prefix and name. */
interface Kind {
  readonly id: string
  /** At full size. */
  readonly title: string
  /** Whether torch is needed. */
  readonly torch?: boolean
  /** Makes the models that it needs. */
  prepare?(pair: Pair): Promise<unknown>
  measure(pair: Pair): Promise<Numbers>
}

/** The two numbers of a row, of which smaller is better, and what else was seen. */
interface Numbers extends Sides<number> {
  readonly medians: Row['medians']
  readonly settings: Row['settings']
}

/** A group of rows for each of the other packages. */
export const others: readonly Group[] = OTHER_PACKAGES.map((other) => ({
  name: other.name,
  rows: kinds(false).map((kind) => specOf(other, kind)),
  run: (effort: Effort) => run(other, effort),
}))

async function* run(other: OtherPackage, effort: Effort): AsyncIterable<Row> {
  const python = await findPython()
  const wanted = kinds(effort.quick).filter((kind) => effort.wants(specOf(other, kind).id))
  const installed = await install(other, python)
  if ('skipped' in installed) {
    for (const kind of wanted) yield skipped(specOf(other, kind), installed.skipped)
    return
  }
  await using pair = await Pair.make(other, python, installed.folder)
  for (const kind of wanted) {
    const spec = specOf(other, kind)
    effort.begin(spec.id)
    try {
      await pair.revive()
      await kind.prepare?.(pair)
      const { ours, theirs, medians, settings } = await kind.measure(pair)
      yield measured(spec, theirs / ours, medians, settings)
    } catch (error) {
      if (!(error instanceof CannotDoIt)) throw error
      yield skipped(spec, error.message)
    }
  }
}

function specOf({ name, prefix }: OtherPackage, { id, title, torch = false }: Kind): RowSpec {
  const spec = { id: `${prefix}-${id}`, title: `${title}, ${name} / torchbed` }
  return { ...spec, better: 'at least', limit: 1, ...(torch ? { needs: ['torch'] } : {}) }
}

function kinds(quick: boolean): Kind[] {
  const rounds = quick ? 2 : 11
  const perCall = (id: string, title: string, operation: Operation): Kind => ({
    id,
    title,
    measure: async (pair) => times(await pair.measure(operation, rounds)),
  })
  return [
    {
      id: 'start-up',
      title: 'from nothing to the first answered call, without torch',
      async measure(pair) {
        const seen: Sides<number>[] = []
        // The first start fills the page cache.
        for (let round = 0; round <= (quick ? 1 : 5); round++) seen.push(await pair.restart())
        return times({
          ours: seen.slice(1).map(({ ours }) => ({ ms: ours })),
          theirs: seen.slice(1).map(({ theirs }) => ({ ms: theirs })),
        })
      },
    },
    perCall('call', 'no-op call', { kind: 'call', times: quick ? 100 : 400 }),
    perCall('refs-1', 'call with 1 batch ref', { kind: 'refs', count: 1, times: 50 }),
    perCall('refs-100', 'call with 100 batch refs', { kind: 'refs', count: 100, times: 50 }),
    perCall('refs-10000', 'call with 10,000 batch refs', { kind: 'refs', count: 10_000, times: 1 }),
    {
      id: 'pipelined',
      title: 'time of 1000 calls at once',
      async measure(pair) {
        const numbers = times(await pair.measure({ kind: 'burst', calls: 1000 }, rounds))
        const perSecond = (ms: number) => 1e6 / ms
        const medians = {
          theirs_calls_per_s: perSecond(numbers.theirs),
          torchbed_calls_per_s: perSecond(numbers.ours),
        }
        return { ...numbers, medians }
      },
    },
    ...SIZES.flatMap((size) => weights(size.full, quick ? size.quick : size.full, rounds)),
    ...training(quick),
  ]
}

/** Bytes into a live model, and a live model as bytes. `full` is the size in titles, in megabytes. */
function weights(full: number, megabytes: number, rounds: number): Kind[] {
  const transfer = (kind: 'load' | 'materialize', title: string): Kind => ({
    id: `${kind}-${full}`,
    title,
    torch: true,
    prepare: (pair) => pair.ask({ kind: 'openWeights', megabytes }),
    async measure(pair) {
      const seen = await pair.measure({ kind }, Math.min(rounds, 7), BYTES_BUDGET_MS)
      const numbers = times(seen)
      return {
        ...numbers,
        medians: { ...numbers.medians, ...loopMax(seen) },
        settings: { ...numbers.settings, megabytes },
      }
    },
  })
  return [
    transfer('load', `load ${full} MB of bytes into a live model`),
    transfer('materialize', `a live model of ${full} MB as bytes`),
  ]
}

/** Windows of the digits MLP: how fast they train, and whether the event loop feels them. */
function training(quick: boolean): Kind[] {
  const config = { threads: 1, minibatch: MINIBATCH, epochs_per_window: quick ? 8 : 40 }
  const prepare = (pair: Pair) => pair.ask({ kind: 'openDigits', config })
  const windows = async (pair: Pair, callEveryMs: number) => {
    const { batches } = await digitsExample(pair.python, config)
    return pair.measure({ kind: 'train', batches, callEveryMs }, quick ? 1 : 5)
  }
  const loop = (id: string, title: string, callEveryMs: number): Kind => ({
    id,
    title,
    torch: true,
    prepare,
    async measure(pair) {
      const seen = await windows(pair, callEveryMs)
      const ours = medianBy(seen.ours, 'loop_p99_ms')
      const theirs = medianBy(seen.theirs, 'loop_p99_ms')
      return {
        ours,
        theirs,
        medians: { theirs_loop_p99_ms: theirs, torchbed_loop_p99_ms: ours, ...loopMax(seen) },
        settings: { rounds: seen.ours.length, window_ms: medianBy(seen.ours, 'ms') },
      }
    },
  })
  return [
    {
      id: 'train',
      title: 'time per training step of the digits MLP',
      torch: true,
      prepare,
      async measure(pair) {
        const { ours, theirs } = await windows(pair, 0)
        const perSecond = ({ examples = NaN, ms = NaN }: Answer) =>
          examples / MINIBATCH / (ms / 1000)
        const [a, b] = [median(ours.map(perSecond)), median(theirs.map(perSecond))]
        const medians = { theirs_steps_per_s: b, torchbed_steps_per_s: a }
        const settings = { rounds: ours.length, window_ms: medianBy(ours, 'ms') }
        return { ours: 1 / a, theirs: 1 / b, medians, settings }
      },
    },
    loop('loop', 'p99 delay of the event loop while the digits MLP trains', 0),
    loop(
      'loop-calls',
      `p99 delay of the event loop while it trains, with another call every ${CALL_EVERY_MS} ms`,
      CALL_EVERY_MS,
    ),
  ]
}

function times({ ours, theirs }: Sides<readonly Answer[]>): Numbers {
  const [a, b] = [medianBy(ours, 'ms'), medianBy(theirs, 'ms')]
  const medians = { theirs_ms: b, torchbed_ms: a }
  return { ours: a, theirs: b, medians, settings: { rounds: ours.length } }
}

function loopMax({ ours, theirs }: Sides<readonly Answer[]>): Row['medians'] {
  return {
    theirs_loop_max_ms: medianBy(theirs, 'loop_max_ms'),
    torchbed_loop_max_ms: medianBy(ours, 'loop_max_ms'),
  }
}

function medianBy(answers: readonly Answer[], key: string): number {
  return median(answers.map((answer) => answer[key] ?? NaN))
}
