/** The package as a user gets it: a tarball with the prebuilt libraries of this platform. */
import { cp, mkdir, readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { Failure } from '../support/failure.mjs'
import { ROOT } from '../support/paths.mjs'
import { lastLines, run } from '../support/process.mjs'
import { filesBelow } from '../support/stamp.mjs'

const PREBUILDS = join('prebuilds', `${process.platform}-${process.arch}`)

/**
 * Pack what `files` in package.json names, and the prebuilt libraries: those of `npm run build:prebuilds` when they are as
 * new as the sources, else those of build/Release, which set-up keeps up to date. The clone is left as it is.
 *
 * @param {string} npm path of npm-cli.js
 * @param {string} folder receives the tarball
 * @returns {Promise<{tarball: string, libraries: string}>} path of the tarball; where its libraries are from
 * @throws Failure
 */
export async function packTarball(npm, folder) {
  const stage = join(folder, 'stage')
  const { files } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
  const named = files.filter((name) => !/^!|^prebuilds\b/.test(name))
  for (const name of ['package.json', 'README.md', 'LICENSE', ...named]) {
    const path = name.split(/[*?{[]/)[0] // of a pattern, the folder: npm takes from it what fits
    await cp(join(ROOT, path), join(stage, path), { recursive: true })
  }
  const libraries = await chooseLibraries()
  await mkdir(join(stage, PREBUILDS), { recursive: true })
  for (const name of await readdir(join(ROOT, libraries))) {
    if (!/\.(node|so)$/.test(name)) continue
    await cp(join(ROOT, libraries, name), join(stage, PREBUILDS, name))
  }
  const command = [npm, 'pack', '--ignore-scripts', '--silent', '--pack-destination', folder]
  const { ok, ending, output } = await run(process.execPath, command, { cwd: stage })
  if (!ok) {
    throw new Failure(`npm pack ended with ${ending}`, 'read the lines above', lastLines(output))
  }
  const [tarball] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'))
  return { tarball: join(folder, tarball), libraries }
}

async function chooseLibraries() {
  const prebuilt = await changes(await filesBelow([PREBUILDS]))
  const sources = await changes(await filesBelow(['native', 'CMakeLists.txt']))
  const isCurrent = prebuilt.length > 0 && Math.min(...prebuilt) >= Math.max(...sources)
  return isCurrent ? PREBUILDS : join('build', 'Release')
}

const changes = (paths) => Promise.all(paths.map(async (path) => (await stat(path)).mtimeMs))
