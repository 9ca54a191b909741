/**
 * Which core a thread runs on. Waking a thread that sleeps on another core costs many times what waking one on the same
 * core does, on a virtual machine above all, and the scheduler keeps to either for minutes: what is compared must be
 * placed alike.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** The threads that answer calls, as they name themselves. */
const ANSWERING = ['torchbed-python', 'torchbed-hop']

export type Placement = 'two cores' | 'one core'

/** Whether threads can be placed: Linux with `taskset` and two cores. */
export function canPlace(): boolean {
  return process.platform === 'linux' && place(process.pid, '0,1')
}

/** The JS thread to the first core, and those that answer it to the second, or to the first as well. */
export function placeThreads(placement: Placement): void {
  place(process.pid, '0')
  for (const thread of threads()) place(thread, placement === 'one core' ? '0' : '1')
}

/** Back to where they like. */
export function freeThreads(): void {
  for (const thread of [process.pid, ...threads()]) place(thread, '0,1')
}

function threads(): number[] {
  return readdirSync('/proc/self/task')
    .filter((id) => ANSWERING.includes(readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim()))
    .map(Number)
}

function place(thread: number, cores: string): boolean {
  return spawnSync('taskset', ['--cpu-list', '--pid', cores, String(thread)]).status === 0
}
