/** Sessions that tell V8 of the memory that handles keep alive. */
import type { EmbeddedRuntime, PythonRuntime } from '../../lib/index.js'
import { loadBridge } from '../../lib/runtime/addon.js'

/** The same runtime, whose sessions have `adjustExternalMemory`. `listener` hears of each use, in bytes. */
export function sizing(
  runtime: EmbeddedRuntime,
  listener: (bytes: number) => void = () => undefined,
): PythonRuntime {
  const ignore = () => undefined
  // It is loaded: this answers what is there.
  const bridge = loadBridge(runtime.python.libpython, ignore, ignore)
  const adjustExternalMemory = (bytes: number) => {
    listener(bytes)
    bridge.adjustExternalMemory(bytes)
  }
  return {
    state: runtime.state,
    stats: () => runtime.stats(),
    openWorkload: async (spec, options) =>
      Object.assign(await runtime.openWorkload(spec, options), { adjustExternalMemory }),
    close: () => runtime.close(),
    [Symbol.asyncDispose]: () => runtime.close(),
  }
}
