/** The bundler that the part `surroundings` uses, from npm into build/esbuild. */
import { existsSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { Failure } from '../support/failure.mjs'
import { ROOT } from '../support/paths.mjs'
import { lastLines, run } from '../support/process.mjs'
import { step } from '../support/progress.mjs'

const VERSION = '0.28.2'
const FOLDER = join(ROOT, 'build', 'esbuild')

/** @returns {Promise<string>} path of its program */
export async function resolveEsbuild() {
  const path = join(FOLDER, 'node_modules', '.bin', 'esbuild')
  if (existsSync(path)) return path
  await step(`esbuild (npm install esbuild@${VERSION})`, async () => {
    // Renamed when complete, so that a kill does not leave half of one.
    const unfinished = `${FOLDER}.${process.pid}`
    await mkdir(unfinished, { recursive: true })
    await writeFile(join(unfinished, 'package.json'), '{ "private": true }\n')
    const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock']
    const args = ['install', ...options, '--prefix', unfinished, `esbuild@${VERSION}`]
    const { ok, ending, output } = await run('npm', args, { cwd: unfinished })
    if (!ok) {
      await rm(unfinished, { recursive: true })
      throw new Failure(
        `npm install esbuild@${VERSION} ended with ${ending}`,
        "check the network, or leave the bundles out: --cell 'surroundings/*'",
        lastLines(output),
      )
    }
    await rm(FOLDER, { recursive: true, force: true })
    await rename(unfinished, FOLDER)
  })
  return path
}
