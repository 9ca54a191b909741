/**
 * Make a clone ready to run: `npm start`, `npm test` and `npm run check` call this first.
 *
 * Does what is missing and nothing else, all of it inside the clone: npm packages, TypeScript, the
 * native libraries, .venv and its Python packages. Reads these variables:
 *
 * - `TORCHBED_PYTHON`: the Python that .venv is made from (default: see lib/runtime/python/find-python.ts)
 * - `TORCHBED_PIP_ARGS`: further options for pip, such as an index with CPU wheels of torch
 * - `TORCHBED_WITHOUT_TORCH=1`: leave out what needs torch
 */
import process from 'node:process'
import { buildNative } from './setup/native.mjs'
import { checkNodeVersion } from './setup/node-version.mjs'
import { installNpmPackages } from './setup/npm-packages.mjs'
import { installPythonPackages } from './setup/python-packages.mjs'
import { choosePython } from './setup/python.mjs'
import { compileTypeScript } from './setup/typescript.mjs'
import { exclusively } from './support/lock.mjs'
import { note, stepsTaken } from './support/progress.mjs'

await exclusively('Set-up', async () => {
  await checkNodeVersion()
  await installNpmPackages()
  await compileTypeScript()
  const chosen = await choosePython()
  await buildNative(chosen.python)
  await installPythonPackages(chosen)
  const state = stepsTaken > 0 ? 'is now ready' : 'is ready'
  note(
    `torchbed ${state}: Node.js ${process.versions.node}, Python ${chosen.python.version} in .venv`,
  )
})
