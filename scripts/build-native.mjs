/**
 * Build the native libraries: build/Release/torchbed.node, and torchbed_bridge.so and torchbed_numerics.so beside it.
 *
 * Arguments are passed on to cmake-js, as in `--CDTORCHBED_SANITIZE=ON --out build/asan`.
 * Only what has changed is compiled. Set-up calls the same code when a source has changed.
 */
import process from 'node:process'
import { buildNative, compileNative } from './setup/native.mjs'
import { loadFindPython } from './setup/python.mjs'
import { exclusively } from './support/lock.mjs'
import { ROOT } from './support/paths.mjs'
import { step } from './support/progress.mjs'

const args = process.argv.slice(2)

await exclusively('The native build', async () => {
  const { findPython } = await loadFindPython()
  const python = await findPython({ cwd: ROOT })
  if (args.length === 0) await buildNative(python)
  else await step(`native libraries (${args.join(' ')})`, () => compileNative(python, args))
})
