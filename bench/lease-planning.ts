/**
 * How long it takes to plan a dataset and to select a lease from it, as the number of microshards grows.
 *
 * `node dist/bench/lease-planning.js [--json] [--max N]`; N defaults to 1 000 000.
 */

import { cpus, arch, platform } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { LeasePlanner, MicroShardPlanner } from '../lib/data/index.js'
import type { DatasetView } from '../lib/schema/index.js'

/** What one number of microshards took. */
export interface Measurement {
  readonly microshards: number
  /** Best of the rounds, in milliseconds. */
  readonly planMs: number
  readonly selectMs: number
  /** Longest time that the event loop did not turn, in milliseconds. */
  readonly longestStallMs: number
  /** Largest memory of the process so far, in bytes. */
  readonly peakRssBytes: number
}

const view: DatasetView = {
  dataset_view_id: 'bench-view',
  dataset_id: 'bench',
  preprocessing_hash: 'none',
  tokenizer_hash: null,
  manifest_hash: 'none',
  metadata: {},
}

/** Bytes, tokens and examples of one microshard. */
const SHARD_BYTES = 64 * 1024 * 1024
const SHARD_TOKENS = 4096
const SHARD_EXAMPLES = 8

/** Enough work units for a full lease of 128 such shards. */
const BUDGET = 128 * 256

/** Plans so many microshards and selects a lease from them; the best of some rounds. */
export async function measure(microshards: number, rounds: number): Promise<Measurement> {
  const planner = new MicroShardPlanner({ max_microshards: microshards })
  const leasePlanner = new LeasePlanner()
  const sizing = {
    total_bytes: microshards * SHARD_BYTES,
    total_tokens: microshards * SHARD_TOKENS,
    total_examples: microshards * SHARD_EXAMPLES,
  }
  let planMs = Infinity
  let selectMs = Infinity
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  for (let round = 0; round < rounds; round++) {
    const start = performance.now()
    const plan = await planner.plan(view, sizing)
    const planned = performance.now()
    const selection = await leasePlanner.selectMicroshards('peer-1', BUDGET, plan.microshards)
    const selected = performance.now()
    if (plan.microshards.length !== microshards || selection.microshards.length !== 128) {
      throw new Error(`Expected ${microshards} microshards and a lease of 128`)
    }
    planMs = Math.min(planMs, planned - start)
    selectMs = Math.min(selectMs, selected - planned)
  }
  delay.disable()
  return {
    microshards,
    planMs,
    selectMs,
    longestStallMs: delay.max / 1e6,
    // Node gives kilobytes.
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
  }
}

/** The exponent e of the law t = c * n^e that fits best: the slope of a line through the logarithms. */
export function fitExponent(points: readonly (readonly [n: number, t: number])[]): number {
  const logs = points.map(([n, t]) => [Math.log(n), Math.log(t)] as const)
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length
  const meanX = mean(logs.map(([x]) => x))
  const meanY = mean(logs.map(([, y]) => y))
  const slope = logs.map(([x, y]) => [(x - meanX) * (y - meanY), (x - meanX) ** 2] as const)
  return mean(slope.map(([xy]) => xy)) / mean(slope.map(([, xx]) => xx))
}

/** Measures powers of ten from 1000 to `max`, smallest first, so that peaks of memory are their own. */
export async function measureAll(max: number): Promise<Measurement[]> {
  // The first calls run uncompiled code, which is not what is measured.
  await measure(1000, 5)
  const all: Measurement[] = []
  for (let microshards = 1000; microshards <= max; microshards *= 10) {
    all.push(await measure(microshards, microshards <= 10_000 ? 5 : 2))
  }
  return all
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { json: { type: 'boolean', default: false }, max: { type: 'string' } },
  })
  const max = Number(values.max ?? 1_000_000)
  if (!(max >= 10_000)) throw new Error(`--max must be at least 10000 to fit a line, got ${max}`)
  const measurements = await measureAll(max)
  const planExponent = fitExponent(measurements.map((one) => [one.microshards, one.planMs]))
  const selectExponent = fitExponent(measurements.map((one) => [one.microshards, one.selectMs]))
  const machine = `${platform()} ${arch()}, ${cpus()[0]?.model ?? 'unknown CPU'}, Node ${process.version}`
  if (values.json) {
    console.log(JSON.stringify({ machine, measurements, planExponent, selectExponent }))
    return
  }
  console.log(machine)
  console.log('microshards     plan ms   select ms   longest stall ms   peak RSS MiB')
  for (const one of measurements) {
    console.log(
      String(one.microshards).padStart(11) +
        one.planMs.toFixed(1).padStart(12) +
        one.selectMs.toFixed(1).padStart(12) +
        one.longestStallMs.toFixed(1).padStart(19) +
        (one.peakRssBytes / 2 ** 20).toFixed(0).padStart(15),
    )
  }
  console.log(`exponents: plan ${planExponent.toFixed(2)}, select ${selectExponent.toFixed(2)}`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
