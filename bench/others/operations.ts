/** What a child can be asked to measure, and what it answers. The same code for every bridge. */

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { medianOf } from '../measure.js'
import type { PythonBatchRef } from '../../lib/schema/index.js'
import { batchRefs } from './batch-refs.js'
import type { Bridge, DigitsConfig } from './bridge.js'

export type Operation =
  | { readonly kind: 'call'; readonly times: number }
  | { readonly kind: 'refs'; readonly count: number; readonly times: number }
  | { readonly kind: 'burst'; readonly calls: number }
  | { readonly kind: 'openWeights'; readonly megabytes: number }
  | { readonly kind: 'load' }
  | { readonly kind: 'materialize' }
  | { readonly kind: 'openDigits'; readonly config: DigitsConfig }
  | {
      readonly kind: 'train'
      readonly batches: readonly PythonBatchRef[]
      /** Another call is begun so often while the window trains; 0 = none. */
      readonly callEveryMs: number
    }
  | { readonly kind: 'close' }

/** Numbers with their unit in the name. */
export type Answer = Readonly<Record<string, number>>

/** Measures with one bridge. Keeps an artifact between operations. */
export class Operations {
  readonly #bridge: Bridge
  #artifact = new Uint8Array()
  /** The last weight of the live model, as it was loaded. */
  #lastWeight = NaN
  readonly #refs = new Map<number, readonly PythonBatchRef[]>()

  constructor(bridge: Bridge) {
    this.#bridge = bridge
  }

  async run(operation: Operation): Promise<Answer> {
    const bridge = this.#bridge
    switch (operation.kind) {
      case 'call':
        return { ms: await medianOf(() => bridge.evaluate(), operation.times) }
      case 'refs': {
        const refs = this.#refs.get(operation.count) ?? batchRefs(operation.count)
        this.#refs.set(operation.count, refs)
        return { ms: await medianOf(() => bridge.trainWindow(refs), operation.times) }
      }
      case 'burst':
        return timed(() =>
          Promise.all(Array.from({ length: operation.calls }, () => bridge.evaluate())),
        )
      case 'openWeights':
        await bridge.openWeights(operation.megabytes)
        this.#artifact = await bridge.materialize()
        this.#lastWeight = lastWeight(this.#artifact).getFloat32(0, true)
        return { bytes: this.#artifact.byteLength }
      case 'load':
        this.#lastWeight = Math.fround(Math.random())
        lastWeight(this.#artifact).setFloat32(0, this.#lastWeight, true)
        return watched(async () => {
          this.#artifact = await bridge.load(this.#artifact)
        })
      case 'materialize': {
        let back = this.#artifact
        const seen = await watched(async () => {
          back = await bridge.materialize()
        })
        this.#check(back)
        return seen
      }
      case 'openDigits':
        await bridge.openDigits(operation.config)
        return {}
      case 'train':
        return this.#train(operation.batches, operation.callEveryMs)
      case 'close':
        await bridge.close()
        return {}
    }
  }

  /** What was loaded must come back: the bytes do travel. */
  #check(back: Uint8Array<ArrayBuffer>): void {
    const weight = lastWeight(back).getFloat32(0, true)
    if (weight !== this.#lastWeight || back.byteLength !== this.#artifact.byteLength) {
      throw new Error(
        `${this.#artifact.byteLength} bytes with ${this.#lastWeight} at their end were loaded; ` +
          `${back.byteLength} with ${weight} came back`,
      )
    }
  }

  async #train(batches: readonly PythonBatchRef[], callEveryMs: number): Promise<Answer> {
    const others: Promise<unknown>[] = []
    const call = () => others.push(this.#bridge.evaluate())
    let examples = 0
    const seen = await watched(async () => {
      const timer = callEveryMs === 0 ? undefined : setInterval(call, callEveryMs)
      try {
        examples = await this.#bridge.trainDigits(batches)
      } finally {
        clearInterval(timer)
      }
    })
    await Promise.all(others)
    return { ...seen, examples, calls: others.length }
  }
}

async function timed(work: () => Promise<unknown>): Promise<Answer> {
  const began = performance.now()
  await work()
  return { ms: performance.now() - began }
}

/** Also how late a timer came that was due every millisecond; on time is 1 ms. */
async function watched(work: () => Promise<unknown>): Promise<Answer> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  // The monitor counts from its second tick.
  await sleep(5)
  const seen = await timed(work)
  // A stall shows when the timer fires after it.
  await sleep(5)
  delay.disable()
  return { ...seen, loop_p99_ms: delay.percentile(99) / 1e6, loop_max_ms: delay.max / 1e6 }
}

/** Data end a safetensors file; the last tensor's last weight is what they end with. */
function lastWeight({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): DataView {
  return new DataView(buffer, byteOffset + byteLength - 4, 4)
}
