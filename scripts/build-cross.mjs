/**
 * Compile the native libraries for another system: `npm run build:cross`.
 *
 * They land in build/cross/<target>/Release. They are compiled and linked; nothing here can run them.
 */
import process from 'node:process'
import { parseArgs } from 'node:util'
import { buildWindows } from './cross/windows.mjs'
import { Failure, reportFailure } from './support/failure.mjs'

const TARGETS = { 'windows-x64': buildWindows }

const HELP = `Compile the native libraries for another system.

Usage: npm run build:cross -- [options]

  --target TARGET   ${Object.keys(TARGETS).join(', ')}; default: windows-x64
  --help            print this help`

try {
  const { help, build } = readOptions()
  if (help) console.log(HELP)
  else for (const path of await build()) console.log(path)
} catch (error) {
  reportFailure('The cross build', error)
  process.exitCode = 1
}

function readOptions() {
  const options = {
    target: { type: 'string', default: 'windows-x64' },
    help: { type: 'boolean', default: false },
  }
  try {
    const { values } = parseArgs({ options })
    const build = TARGETS[values.target]
    if (build === undefined) throw new Error(`there is no target ${JSON.stringify(values.target)}`)
    return { help: values.help, build }
  } catch (error) {
    throw new Failure(error.message, 'see npm run build:cross -- --help')
  }
}
