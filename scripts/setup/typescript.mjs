/** dist/ as compiled from the TypeScript sources. */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import process from 'node:process'
import { Failure } from '../support/failure.mjs'
import { ROOT } from '../support/paths.mjs'
import { lastLines } from '../support/process.mjs'
import { step } from '../support/progress.mjs'
import {
  changeTime,
  digest,
  filesBelow,
  readJson,
  readStamp,
  writeStamp,
} from '../support/stamp.mjs'
import { ending, runLogged } from './run-logged.mjs'

const FOLDERS = ['lib', 'test', 'bench', 'examples']
const BUILD_INFO = join(ROOT, 'build', 'tsconfig.tsbuildinfo')

export async function compileTypeScript() {
  const sources = await filesBelow(
    FOLDERS,
    (path) => path.endsWith('.ts') && !path.endsWith('.d.ts'),
  )
  const outputs = new Set(sources.map(outputOf))
  const complete = [...outputs].every((path) => existsSync(path))
  const key = await sourceKey(sources)
  const stamp = await readStamp('typescript')
  // The time tells whether someone has compiled other sources since.
  if (complete && stamp?.key === key && stamp.time === (await changeTime(BUILD_INFO))) return
  await step('TypeScript (tsc)', async () => {
    // With it, tsc would believe that nothing is missing.
    if (!complete) await rm(BUILD_INFO, { force: true })
    const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
    const result = await runLogged('tsc', process.execPath, [compiler, '-p', 'tsconfig.json'])
    if (!result.ok) {
      const remedy = 'correct the errors above, and start again'
      throw new Failure(ending('tsc', 'tsc', result), remedy, lastLines(result.output, 30))
    }
    await removeOrphans(outputs)
    await writeStamp('typescript', { key, time: await changeTime(BUILD_INFO) })
  })
}

async function sourceKey(sources) {
  const { version } = await readJson(join(ROOT, 'node_modules', 'typescript', 'package.json'))
  return digest([join(ROOT, 'tsconfig.json'), join(ROOT, 'package.json'), ...sources], version)
}

function outputOf(source) {
  return join(ROOT, 'dist', relative(ROOT, source).replace(/\.ts$/, '.js'))
}

// A test whose source is gone must not run any more.
async function removeOrphans(outputs) {
  const present = await filesBelow(['dist'], (path) => /(\.js|\.d\.ts|\.js\.map)$/.test(path))
  for (const path of present) {
    if (!outputs.has(path.replace(/(\.js|\.d\.ts|\.js\.map)$/, '.js'))) await rm(path)
  }
}
