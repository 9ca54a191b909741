/**
 * pythonia, as its documentation recommends: `python(file)` imports a module, its functions are awaited,
 * and `setFastMode(true)` leaves out the descriptions of objects that are for `console.log` alone.
 *
 * It carries JSON. A Buffer would arrive as a list of numbers, and bytes of Python as a reference to each
 * of them; the fast blobs of its sister package go from JavaScript to a Python host only. So the bytes cross
 * as base64 text, which is the fastest of what it can do.
 */

import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { PythonBatchRef } from '../../lib/schema/index.js'
import type { Bridge, DigitsConfig, Places } from './bridge.js'

/** The part of its interface that is used here. */
interface Pythonia {
  python: ((file: string) => Promise<PlainCalls>) & {
    setFastMode(fast: boolean): void
    exit(): void
  }
}

interface PlainCalls {
  evaluate(split: string): Promise<unknown>
  train_window(batches: readonly PythonBatchRef[]): Promise<unknown>
  open_weights(megabytes: number): Promise<unknown>
  load_weights_base64(artifact: string): Promise<unknown>
  save_weights_base64(): Promise<string>
  open_digits(config: DigitsConfig): Promise<unknown>
  train_digits(batches: readonly PythonBatchRef[]): Promise<number>
}

export async function open(places: Places): Promise<Bridge> {
  process.env.PYTHON_BIN = places.python
  process.env.PYTHONPATH = places.modules.join(':')
  const { python } = createRequire(join(places.packages, 'package.json'))('pythonia') as Pythonia
  python.setFastMode(true)
  const module = await python(places.plainCalls)
  return {
    evaluate: () => module.evaluate('Test'),
    trainWindow: (batches) => module.train_window(batches),
    openWeights: async (megabytes) => {
      await module.open_weights(megabytes)
    },
    async load(bytes) {
      const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
      await module.load_weights_base64(text)
      return bytes
    },
    materialize: async () => Buffer.from(await module.save_weights_base64(), 'base64'),
    openDigits: async (config) => {
      await module.open_digits(config)
    },
    trainDigits: (batches) => module.train_digits(batches),
    close() {
      python.exit()
      return Promise.resolve()
    },
  }
}
