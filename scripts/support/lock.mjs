/** One set-up at a time in a clone; what a killed one left running is waited for. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure, reportFailure } from './failure.mjs'
import { SETUP_FOLDER } from './paths.mjs'
import { note } from './progress.mjs'

const LOCK = join(SETUP_FOLDER, 'lock')

/** Longest wait for another set-up, in milliseconds. */
const PATIENCE_MS = 20 * 60 * 1000

const held = { setup: process.pid, child: null }

/**
 * Do `work` while no other set-up works in this clone. A failure is reported, as one of `activity`,
 * and becomes the exit code of this process.
 */
export async function exclusively(activity, work) {
  try {
    await lock()
    try {
      await work()
    } finally {
      await rm(LOCK, { force: true })
    }
  } catch (error) {
    reportFailure(activity, error)
    process.exitCode = 1
  }
}

async function lock() {
  await mkdir(dirname(LOCK), { recursive: true })
  for (let waited = 0, told = false; ; waited += 200) {
    try {
      await writeFile(LOCK, JSON.stringify(held), { flag: 'wx' })
      return
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const holder = await liveHolder()
    if (holder === null) {
      await rm(LOCK, { force: true })
      continue
    }
    if (waited > PATIENCE_MS) {
      throw new Failure(
        `another set-up of this clone (process ${holder}) does not end`,
        `end that process, or delete ${LOCK} when it is something else`,
      )
    }
    if (!told) note(`Waiting for another set-up of this clone (process ${holder}) ...`)
    told = true
    await sleep(200)
  }
}

/** Note the program that works for this set-up, in case this set-up is killed before it. */
export function noteChild(pid) {
  held.child = pid
  writeFileSync(`${LOCK}.next`, JSON.stringify(held))
  renameSync(`${LOCK}.next`, LOCK)
}

async function liveHolder() {
  let holder
  try {
    holder = JSON.parse(await readFile(LOCK, 'utf8'))
  } catch {
    await sleep(200) // it may be in the middle of being written
    holder = await readFile(LOCK, 'utf8').then(JSON.parse, () => ({}))
  }
  return [holder.setup, holder.child].find(isAlive) ?? null
}

function isAlive(pid) {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
  return !isZombie(pid)
}

// In a container whose first process does not collect them, ended programs stay listed indefinitely.
function isZombie(pid) {
  try {
    return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}
