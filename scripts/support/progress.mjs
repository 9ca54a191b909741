/** Shows on stderr each step that is taken, with its time. */
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { clearInterval, setInterval } from 'node:timers'

const seconds = (start) => `${((performance.now() - start) / 1000).toFixed(1)} s`

/** Number of steps that had something to do. */
export let stepsTaken = 0

/** Print one line. */
export function note(text) {
  process.stderr.write(`${text}\n`)
}

/**
 * Do `work`, showing `title` and the time it takes.
 *
 * @template T
 * @param {string} title
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(title, work) {
  stepsTaken += 1
  const start = performance.now()
  const terminal = process.stderr.isTTY
  const show = (ending) => process.stderr.write(`${terminal ? '\r' : ''}  ${title} ... ${ending}`)
  let ticking
  if (terminal) {
    show('')
    ticking = setInterval(() => show(seconds(start)), 1000)
  } else {
    process.stderr.write(`  ${title} ... `)
  }
  const finish = (ending) => {
    clearInterval(ticking)
    if (terminal) show(`${ending}\n`)
    else process.stderr.write(`${ending}\n`)
  }
  try {
    const result = await work()
    finish(seconds(start))
    return result
  } catch (error) {
    finish(`failed after ${seconds(start)}`)
    throw error
  }
}
