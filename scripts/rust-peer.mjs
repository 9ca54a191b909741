/**
 * Build the peer of the burn_p2p network that test/rust talks with: `npm run rust-peer`.
 *
 * The program is kept in a cache outside of the clone, keyed by its sources and its lock file, so that a new clone needs no
 * build. The first build compiles some 470 crates, which takes a few minutes and 1 GB in the temporary folder.
 */
import { spawn } from 'node:child_process'
import { copyFile, mkdir, readFile, rename } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { Failure, reportFailure } from './support/failure.mjs'
import { ROOT } from './support/paths.mjs'
import { onPath } from './support/process.mjs'
import { note } from './support/progress.mjs'
import { changeTime, digest, filesBelow } from './support/stamp.mjs'

const PACKAGE = join('test', 'peers', 'rust')
const LOCK = join(ROOT, PACKAGE, 'Cargo.lock')
const PROGRAM = `torchbed-test-peer${process.platform === 'win32' ? '.exe' : ''}`

/** Where the built program of these sources is, or would be. */
export async function rustPeerPath() {
  const isSource = (path) => /(\.rs|Cargo\.(toml|lock))$/.test(path)
  const key = await digest(await filesBelow([PACKAGE], isSource))
  return join(cacheFolder(), 'rust-peer', key.slice(0, 16), PROGRAM)
}

/** `TORCHBED_CACHE`, or what the system gives programs for their caches. */
function cacheFolder() {
  const { TORCHBED_CACHE, XDG_CACHE_HOME, HOME, LOCALAPPDATA } = process.env
  if (TORCHBED_CACHE) return TORCHBED_CACHE
  if (process.platform === 'win32' && LOCALAPPDATA) return join(LOCALAPPDATA, 'torchbed')
  return join(XDG_CACHE_HOME || join(HOME || tmpdir(), '.cache'), 'torchbed')
}

/** Builds the program unless it is there; answers its path, or null where there is no cargo. */
export async function buildRustPeer() {
  const path = await rustPeerPath()
  if ((await changeTime(path)) !== null) return path
  const cargo = await onPath('cargo')
  if (cargo === null) return null
  // By the lock file alone: a change of our own sources compiles our own crate only.
  const target = join(tmpdir(), `torchbed-rust-peer-${(await digest([LOCK])).slice(0, 16)}`)
  note('Building the Rust peer of the tests; the first build takes a few minutes.')
  await compile(cargo, target)
  await mkdir(dirname(path), { recursive: true })
  const unfinished = `${path}.${process.pid}.tmp`
  await copyFile(join(target, 'debug', PROGRAM), unfinished)
  await rename(unfinished, path)
  return path
}

/** Runs cargo, and shows how many crates it has compiled. */
async function compile(cargo, target) {
  const start = performance.now()
  const total = await packageCount()
  const child = spawn(cargo, ['build', '--locked'], {
    cwd: join(ROOT, PACKAGE),
    env: { ...process.env, CARGO_TARGET_DIR: target, CARGO_TERM_COLOR: 'never' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const closed = new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message))
    child.on('close', (code, signal) =>
      resolve(code === 0 ? null : (signal ?? `exit code ${code}`)),
    )
  })
  const last = []
  let compiled = 0
  for await (const line of createInterface({ input: child.stderr })) {
    last.push(line)
    if (last.length > 40) last.shift()
    if (!/^ *Compiling /.test(line)) continue
    compiled += 1
    const seconds = ((performance.now() - start) / 1000).toFixed(0)
    if (process.stderr.isTTY)
      process.stderr.write(`\r  ${compiled} of ${total} crates, ${seconds} s`)
    else if (compiled % 100 === 0) note(`  ${compiled} of ${total} crates, ${seconds} s`)
  }
  const ending = await closed
  if (process.stderr.isTTY) process.stderr.write('\n')
  if (ending !== null) {
    const remedy = 'read the lines above; the first build needs the Rust package registry'
    throw new Failure(`cargo ended with ${ending}`, remedy, last.join('\n'))
  }
}

/** Packages of the lock file: a little more than are compiled for one system. */
async function packageCount() {
  return (await readFile(LOCK, 'utf8')).match(/^\[\[package\]\]$/gm)?.length ?? 0
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    const path = await buildRustPeer()
    note(path ?? 'Skipped: cargo is not on PATH, and the program is not in the cache.')
  } catch (error) {
    reportFailure('The build of the Rust peer', error)
    process.exitCode = 1
  }
}
