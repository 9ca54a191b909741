/** Processes of this machine, as /proc shows them: Linux alone. */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * The workers that `pid` has started and that are not gone, those that nobody reaped included. They lead
 * sessions of their own, unlike what Python in this process may have started.
 */
export async function workersOf(pid: number): Promise<number[]> {
  const numbers = (await readdir('/proc')).map(Number).filter(Number.isInteger)
  const workers: number[] = []
  for (const number of numbers) {
    const [, parent, , session] = (await fieldsOf(number)) ?? []
    if (Number(parent) === pid && Number(session) === number) workers.push(number)
  }
  return workers
}

/** Whether a process is there and alive. */
export async function isRunning(pid: number): Promise<boolean> {
  const state = (await fieldsOf(pid))?.[0]
  return state !== undefined && state !== 'Z'
}

/** Waits until a process is gone; fails after `milliseconds`. */
export async function untilGone(pid: number, milliseconds: number): Promise<void> {
  const deadline = performance.now() + milliseconds
  while (await isRunning(pid)) {
    assert.ok(performance.now() < deadline, `process ${pid} is still there`)
    await delay(10)
  }
}

/** State, parent, group and session of a process. */
async function fieldsOf(pid: number): Promise<string[] | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined)
  // The name in parentheses may hold anything.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
}
