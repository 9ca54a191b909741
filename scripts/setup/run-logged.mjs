/** Run a program for a step of the set-up. */
import { basename, join } from 'node:path'
import { noteChild } from '../support/lock.mjs'
import { SETUP_FOLDER } from '../support/paths.mjs'
import { run } from '../support/process.mjs'

/** As {@link run}; the output goes to `build/setup/<name>.log`. */
export function runLogged(name, command, args, options = {}) {
  const log = join(SETUP_FOLDER, `${name}.log`)
  return run(command, args, { ...options, log, onStart: noteChild })
}

/** How a program ended and where to read all it said. */
export function ending(name, command, { ending: how }) {
  return `${basename(command)} ended with ${how} (whole output: build/setup/${name}.log)`
}
