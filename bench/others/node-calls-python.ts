/**
 * node-calls-python, as its README recommends: the venv through `addImportPath`, a module through
 * `import`, functions through the asynchronous `call`. Bytes cross as it documents them: a Buffer arrives
 * as `bytes`, and `bytes` come back as an ArrayBuffer; each is one copy, made on the JS thread.
 */

import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Bridge, Places } from './bridge.js'

/** The part of its interface that is used here. */
interface Interpreter {
  addImportPath(path: string): void
  import(file: string): Promise<object>
  call(module: object, name: string, ...args: readonly unknown[]): Promise<unknown>
}

export async function open(places: Places): Promise<Bridge> {
  const require = createRequire(join(places.packages, 'package.json'))
  const { interpreter } = require('node-calls-python') as { interpreter: Interpreter }
  for (const path of [places.sitePackages, ...places.modules]) interpreter.addImportPath(path)
  const module = await interpreter.import(places.plainCalls)
  const call = (name: string, ...args: readonly unknown[]) =>
    interpreter.call(module, name, ...args)
  return {
    evaluate: () => call('evaluate', 'Test'),
    trainWindow: (batches) => call('train_window', batches),
    openWeights: async (megabytes) => {
      await call('open_weights', megabytes)
    },
    async load(bytes) {
      await call('load_weights', bytes)
      return bytes
    },
    materialize: async () => new Uint8Array((await call('save_weights')) as ArrayBuffer),
    openDigits: async (config) => {
      await call('open_digits', config)
    },
    trainDigits: async (batches) => Number(await call('train_digits', batches)),
    close: () => Promise.resolve(),
  }
}
