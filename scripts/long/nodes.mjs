/** Versions of Node.js to test on: the running one, others from npm into build/nodes/<major>. */
import { existsSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { Failure } from '../support/failure.mjs'
import { ROOT } from '../support/paths.mjs'
import { lastLines, run } from '../support/process.mjs'
import { step } from '../support/progress.mjs'

const FOLDER = join(ROOT, 'build', 'nodes')

/**
 * @param {number[]} majors
 * @returns {Promise<{major: number, path: string, isOwn: boolean}[]>}
 */
export async function resolveNodes(majors) {
  const own = Number(process.versions.node.split('.')[0])
  const nodes = []
  for (const major of new Set(majors)) {
    const isOwn = major === own
    nodes.push({ major, path: isOwn ? process.execPath : await fetchNode(major), isOwn })
  }
  return nodes
}

async function fetchNode(major) {
  const name = `node-${process.platform}-${process.arch}`
  const folder = join(FOLDER, String(major))
  const path = join(folder, 'node_modules', name, 'bin', 'node')
  if (existsSync(path)) return path
  await step(`Node.js ${major} (npm install ${name}@${major})`, async () => {
    // Renamed when complete, so that a kill does not leave half of one.
    const unfinished = `${folder}.${process.pid}`
    await mkdir(unfinished, { recursive: true })
    await writeFile(join(unfinished, 'package.json'), '{ "private": true }\n')
    const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock']
    const args = ['install', ...options, '--prefix', unfinished, `${name}@${major}`]
    const { ok, ending, output } = await run('npm', args, { cwd: unfinished })
    if (!ok) {
      await rm(unfinished, { recursive: true })
      throw new Failure(
        `npm install ${name}@${major} ended with ${ending}`,
        'check the network, or leave that version out: --nodes',
        lastLines(output),
      )
    }
    await rm(folder, { recursive: true, force: true })
    await rename(unfinished, folder)
  })
  return path
}
