/**
 * Run the long tests: `npm run test:long`. docs/internals/reliability.md says what they hold torchbed to.
 *
 * A table is the last thing on stdout, with a line for each failure that says how to repeat it alone. Its load is that
 * of the last minute of a part: how many threads ran or waited for a CPU, those of other programs among them.
 * Progress goes to stderr. The exit code is 1 when something failed, 2 for a wrong option.
 */
import { writeFile } from 'node:fs/promises'
import { availableParallelism, loadavg } from 'node:os'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { resolveNodes } from './long/nodes.mjs'
import { HELP, readOptions } from './long/options.mjs'
import { PARTS } from './long/parts.mjs'
import { tableOf } from './long/table.mjs'
import { Failure, reportFailure } from './support/failure.mjs'
import { VENV_PYTHON } from './support/paths.mjs'
import { note } from './support/progress.mjs'

try {
  const options = readOptions(process.argv.slice(2), Object.keys(PARTS))
  if (options.help) console.log(HELP)
  else await runParts(options)
} catch (error) {
  reportFailure('test:long', error)
  process.exitCode = error instanceof Failure ? 2 : 1
}

async function runParts(options) {
  process.env.TORCHBED_PYTHON = VENV_PYTHON
  const nodes = await resolveNodes(options.nodes)
  const results = []
  for (const name of options.only) {
    note(`${name}: ${PARTS[name].what}`)
    const start = performance.now()
    const result = await runPart(name, { ...options, nodes })
    const seconds = (performance.now() - start) / 1000
    const [load] = loadavg()
    results.push({ name, ...result, seconds, load })
  }
  console.log(tableOf(results))
  if (options.json !== null) {
    const { version: node, platform, arch } = process
    const machine = { node, platform, arch, cores: availableParallelism() }
    await writeFile(options.json, `${JSON.stringify({ ...machine, parts: results }, null, 2)}\n`)
  }
  const executed = results.reduce((sum, { cells }) => sum + cells, 0)
  if (executed === 0) console.log('No cell was executed.')
  if (executed === 0 || results.some(({ failures }) => failures.length > 0)) process.exitCode = 1
}

async function runPart(name, options) {
  try {
    const { run } = await PARTS[name].load()
    return await run(options)
  } catch (error) {
    const failure = { name, details: error.stack, repeat: `npm run test:long -- --only ${name}` }
    return { cells: 0, failures: [failure] }
  }
}
