/** What sessions tell V8 of the memory that handles keep alive. */
import type { EmbeddedRuntime, PythonRuntime } from '../../../lib/index.js'

/** The same runtime; `listener` hears of each word to V8, in bytes. */
export function sizing(
  runtime: EmbeddedRuntime,
  listener: (bytes: number) => void = () => undefined,
): PythonRuntime {
  return {
    python: runtime.python,
    state: runtime.state,
    stats: () => runtime.stats(),
    openWorkload: async (spec, options) => {
      const session = await runtime.openWorkload(spec, options)
      const tell = session.adjustExternalMemory?.bind(session)
      const adjustExternalMemory = (bytes: number) => {
        listener(bytes)
        tell?.(bytes)
      }
      return Object.assign(session, { adjustExternalMemory })
    },
    close: () => runtime.close(),
    [Symbol.asyncDispose]: () => runtime.close(),
  }
}
