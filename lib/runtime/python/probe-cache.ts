/**
 * What interpreters have said of themselves, kept on disk from one process to the next: to start one and ask takes as
 * long as the rest of a start.
 *
 * An answer stands as long as the files that it depends on are the same. Whatever is in doubt is not taken, and a
 * folder that cannot be read or written costs the time alone: nothing here throws.
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, realpath, rm, stat, type FileHandle } from 'node:fs/promises'
import type { BigIntStats } from 'node:fs'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { removeLeftoverTempFiles, writeFileAtomic } from '../../files/atomic-write.js'
import { record, text } from '../../schema/index.js'
import { ProbeFacts } from './probe-facts.js'

/** Most answers that are kept; the oldest go first. */
export const MAX_KEPT_PROBES = 64

/** Largest file that is read as an answer, in bytes. A real one has about 1,500. */
const MAX_PROBE_FILE_BYTES = 64 * 1024

/** Part of an answer's name; to be changed when the program that asks, or the form of the file, changes. */
const FORMAT = 1

const ENTRY_NAME = /^python-[0-9a-f]{64}\.json$/

/** How native programs begin: ELF; Mach-O of both byte orders and sizes, and of several processors; PE. */
const NATIVE_PROGRAM = /^(7f454c46|feedface|feedfacf|cefaedfe|cffaedfe|cafebabe|4d5a)/

const KeptProbe = record('kept python probe', {
  interpreter: text,
  libpython: text,
  library: text,
  stdlib: text,
  facts: ProbeFacts,
})

/** An interpreter as it is now, and where its answer is kept. */
interface ProbePlace {
  readonly folder: string
  readonly file: string
  /** The program that is run in the end, all links followed. */
  readonly program: string
  /** What tells this interpreter from another at the same path. */
  readonly interpreter: string
}

/**
 * Where the answer of an interpreter is kept; null when none is: the cache is turned off or has no folder, or the
 * interpreter is not there.
 *
 * @param path absolute path of the interpreter
 * @param env the environment that it is run in
 */
export async function probePlace(path: string, env: NodeJS.ProcessEnv): Promise<ProbePlace | null> {
  const folder = probeFolder(env)
  if (folder === null) return null
  try {
    const program = await realpath(path)
    const folders = [dirname(path), dirname(dirname(path))]
    const stamps = await Promise.all([
      lstat(path, { bigint: true }).then(stampOf),
      stampAt(program),
      ...folders.map((each) => stampAt(join(each, 'pyvenv.cfg')).catch(() => null)),
    ])
    const key = JSON.stringify([FORMAT, process.platform, process.arch, path, loaderVariables(env)])
    const name = `python-${createHash('sha256').update(key).digest('hex')}.json`
    const interpreter = JSON.stringify([program, ...stamps])
    return { folder, file: join(folder, name), program, interpreter }
  } catch {
    return null
  }
}

/**
 * The folder of the answers: `torchbed` in the user's folder for caches. Null when `TORCHBED_PROBE_CACHE` is `0`, or
 * the environment names no such folder.
 */
export function probeFolder(
  env: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = process.platform,
): string | null {
  if (env.TORCHBED_PROBE_CACHE === '0') return null
  const { XDG_CACHE_HOME: named, HOME: home, LOCALAPPDATA: local } = env
  if (platform === 'win32') return local ? join(local, 'torchbed', 'Cache') : null
  if (named && isAbsolute(named)) return join(named, 'torchbed')
  if (!home || !isAbsolute(home)) return null
  return platform === 'darwin'
    ? join(home, 'Library', 'Caches', 'torchbed')
    : join(home, '.cache', 'torchbed')
}

/** The answer that is kept, if it still holds and none but this user can have written it; else null. */
export async function readProbe(place: ProbePlace): Promise<ProbeFacts | null> {
  try {
    if (!isOwn(await lstat(place.folder, { bigint: true }))) return null
    const kept = KeptProbe.fromJson(await readOwnFile(place.file))
    if (kept.interpreter !== place.interpreter) return null
    const [library, stdlib] = await Promise.all([
      stampAt(kept.libpython),
      stampAt(kept.facts.stdlib),
    ])
    return library === kept.library && stdlib === kept.stdlib ? kept.facts : null
  } catch {
    return null
  }
}

/**
 * Keeps an answer. Not that of a script, nor of a program that runs another one, as the shims of version managers are:
 * theirs depends on the working folder and on every variable.
 *
 * @param path absolute path of the interpreter that was asked
 * @param libpython the shared library that was found by the answer
 */
export async function keepProbe(
  place: ProbePlace,
  { path, facts, libpython }: { path: string; facts: ProbeFacts; libpython: string },
): Promise<void> {
  try {
    const { folder, file, program, interpreter } = place
    if (facts.executable !== path || !/^python/i.test(basename(program))) return
    if (!(await isNativeProgram(program))) return
    const [library, stdlib] = await Promise.all([stampAt(libpython), stampAt(facts.stdlib)])
    const kept = KeptProbe.toJson({ interpreter, libpython, library, stdlib, facts })
    await makeOwnFolder(folder)
    if (!isOwn(await lstat(folder, { bigint: true }))) return
    await writeFileAtomic(file, kept, { mode: 0o600, sync: 'none' })
    await removeLeftoverTempFiles(folder)
    await removeOldest(folder)
  } catch {
    // A folder that cannot be written, or a disk that is full: the next process asks again.
  }
}

/** Variables of the dynamic loader, which decide what a native program loads. All others `-E` turns off. */
function loaderVariables(env: NodeJS.ProcessEnv): [string, string | undefined][] {
  return Object.entries(env)
    .filter(([name]) => /^(LD|DYLD)_/.test(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

async function stampAt(path: string): Promise<string> {
  return stampOf(await stat(path, { bigint: true }))
}

function stampOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs].join(' ')
}

/** Whether it is this user's and no other can write to it. Windows keeps the folder to the user by itself. */
function isOwn({ uid, mode }: BigIntStats): boolean {
  if (process.getuid === undefined) return true
  return Number(uid) === process.getuid() && (Number(mode) & 0o022) === 0
}

async function readOwnFile(path: string): Promise<string> {
  return withFile(path, async (file) => {
    const found = await file.stat({ bigint: true })
    if (!found.isFile() || !isOwn(found) || found.size > MAX_PROBE_FILE_BYTES) return ''
    return file.readFile('utf8')
  })
}

async function isNativeProgram(path: string): Promise<boolean> {
  return withFile(path, async (file) => {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0)
    return NATIVE_PROGRAM.test(buffer.toString('hex'))
  })
}

async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  // A link is not followed and a pipe not waited for. Windows has neither flag: undefined counts as 0.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    return await use(file)
  } finally {
    await file.close()
  }
}

/** Step by step: `recursive` tries for ever where the system says ENOENT of a folder that is there, as in `/proc`. */
async function makeOwnFolder(folder: string): Promise<void> {
  for (const each of [dirname(folder), folder]) {
    await mkdir(each, { mode: 0o700 }).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    })
  }
}

async function removeOldest(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => ENTRY_NAME.test(name))
  if (names.length <= MAX_KEPT_PROBES) return
  const aged = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name)
      return { path, age: (await stat(path)).mtimeMs }
    }),
  )
  aged.sort((a, b) => a.age - b.age)
  for (const { path } of aged.slice(0, names.length - MAX_KEPT_PROBES)) {
    await rm(path, { force: true })
  }
}
