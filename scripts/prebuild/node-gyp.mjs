#!/usr/bin/env node
/**
 * Stands in for node-gyp when prebuildify calls it: compiles with CMake into build/Release of the working folder.
 *
 * The libraries beside the loader are named after their libc there, as prebuildify names the loader: two of each
 * share a folder.
 */
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { glibcVariables } from './targets.mjs'
import { loadBuild } from '../setup/native.mjs'
import { reportFailure } from '../support/failure.mjs'
import { ROOT } from '../support/paths.mjs'

const { PREBUILD_PLATFORM: platform, PREBUILD_ARCH: arch, PREBUILD_LIBC: libc } = process.env

try {
  const { compile, findBuildTools } = await loadBuild()
  const tools = await findBuildTools({ cwd: ROOT })
  const isGlibc = platform === 'linux' && libc === 'glibc'
  const variables = isGlibc
    ? await glibcVariables(arch, process.env.TORCHBED_SYSROOT)
    : { TORCHBED_PORTABLE: 'ON' }
  const folder = await compile({
    tools,
    source: ROOT,
    out: join(process.cwd(), 'build'),
    variables,
  })
  if (platform === 'linux') {
    for (const name of ['torchbed_bridge', 'torchbed_numerics']) {
      await rename(join(folder, `${name}.so`), join(folder, `${name}.${libc}.so`))
    }
  }
} catch (error) {
  reportFailure('The prebuild', error)
  process.exitCode = 1
}
