/** node_modules as package-lock.json describes it. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { isDeepStrictEqual } from 'node:util'
import { Failure } from '../support/failure.mjs'
import { ROOT } from '../support/paths.mjs'
import { lastLines, onPath } from '../support/process.mjs'
import { step } from '../support/progress.mjs'
import { readJson } from '../support/stamp.mjs'
import { ending, runLogged } from './run-logged.mjs'

export async function installNpmPackages() {
  if (await isInstalled()) return
  await step('npm packages (npm ci)', async () => {
    const [command, ...first] = await npmCommand()
    // No package needs an install script, and none gets to run one.
    const args = [
      ...first,
      'ci',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--loglevel',
      'http',
    ]
    const result = await runLogged('npm', command, args)
    if (!result.ok) throw npmFailure(command, result)
  })
}

async function isInstalled() {
  const [manifest, wanted, present] = await Promise.all([
    readJson(join(ROOT, 'package.json')),
    readJson(join(ROOT, 'package-lock.json')),
    readJson(join(ROOT, 'node_modules', '.package-lock.json')), // npm writes it last
  ])
  const { '': root, ...packages } = wanted?.packages ?? {}
  if (root === undefined || present === null) return false
  for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies']) {
    if (!isDeepStrictEqual(manifest[kind], root[kind])) return false
  }
  return Object.entries(packages).every(([path, { version, optional }]) => {
    const installed = present.packages[path]
    if (installed === undefined) return optional === true
    return installed.version === version && existsSync(join(ROOT, path, 'package.json'))
  })
}

async function npmCommand() {
  const script = process.env.npm_execpath ?? ''
  if (/npm-cli\.[cm]?js$/.test(script)) return [process.execPath, script]
  const npm = await onPath('npm')
  if (npm !== null) return [npm]
  throw new Failure(
    'npm is not on PATH',
    'install npm (it comes with Node.js; Debian: apt-get install npm)',
  )
}

function npmFailure(command, result) {
  const { output } = result
  const remedy = /EUSAGE|in sync/.test(output)
    ? 'package.json and package-lock.json contradict each other: run "npm install"'
    : /ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNRE|ENETUNREACH|ERR_SOCKET/.test(output)
      ? 'the package registry cannot be reached: check the network, and what "npm config list" says'
      : /ENOSPC/.test(output)
        ? 'the disk is full: make room and start again'
        : /EACCES|EPERM/.test(output)
          ? 'make the clone writable for this user, and start again'
          : 'read the lines above, put that right and start again'
  // npm says first what is wrong, and then much else.
  const errors = output.split('\n').filter((line) => /^npm error/.test(line))
  const details = errors.length > 0 ? errors.slice(0, 12).join('\n') : lastLines(output)
  return new Failure(ending('npm', command, result), remedy, details)
}
