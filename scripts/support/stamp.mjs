/** Remember what a step last did, so that it is not done again while nothing has changed. */
import { createHash } from 'node:crypto'
import { mkdir, readFile, readdir, rename, stat, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import process from 'node:process'
import { ROOT, SETUP_FOLDER } from './paths.mjs'

/** The files that `accept` takes among the named files and all below the named folders, sorted. */
export async function filesBelow(names, accept = () => true) {
  const found = []
  for (const name of names) {
    const path = join(ROOT, name)
    const entry = await stat(path).catch(() => null)
    if (entry?.isFile()) found.push(path)
    if (!entry?.isDirectory()) continue
    for (const child of await readdir(path, { recursive: true, withFileTypes: true })) {
      const folder = child.parentPath ?? child.path
      if (child.isFile()) found.push(join(folder, child.name))
    }
  }
  return found.filter(accept).sort()
}

/** Digest of the files' paths and contents and of further texts. */
export async function digest(paths, ...texts) {
  const hash = createHash('sha256')
  for (const text of texts) hash.update(`${text}\0`)
  for (const path of paths) {
    hash.update(`${relative(ROOT, path)}\0`)
    hash.update(
      createHash('sha256')
        .update(await readFile(path))
        .digest(),
    )
  }
  return hash.digest('hex')
}

/** Time of a file's last change in milliseconds, or null when it is absent. */
export async function changeTime(path) {
  return (await stat(path).catch(() => null))?.mtimeMs ?? null
}

/** The JSON in a file, or null when it is absent or damaged. */
export async function readJson(path) {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch {
    return null
  }
}

/** Write JSON so that a kill leaves the old file or the new one, never half of one. */
export async function writeJson(path, value) {
  await mkdir(dirname(path), { recursive: true })
  const unfinished = `${path}.${process.pid}.tmp`
  await writeFile(unfinished, JSON.stringify(value, null, 2))
  await rename(unfinished, path)
}

const stampPath = (name) => join(SETUP_FOLDER, `${name}.json`)

/** What the step `name` noted when it last succeeded, or null. */
export const readStamp = (name) => readJson(stampPath(name))

export const writeStamp = (name, value) => writeJson(stampPath(name), value)
