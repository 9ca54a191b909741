import { join, sep } from 'node:path'
import { MAX_TIMER_MS } from '../core/timers.js'
import { DeadlineError, ValueError } from '../errors.js'
import { packageRoot } from './package-root.js'

/** How long a cancelled call may take to end before it is reported as overdue, in milliseconds. */
export const DEADLINE_GRACE_MS = 100

/** How many frames of Python's stack a message quotes, from the innermost on. */
const QUOTED_FRAMES = 5

/** Throws {@link ValueError} for a `timeoutMs` that is none. */
export function checkTimeout(method: string, timeoutMs: number): void {
  if (timeoutMs >= 0 && timeoutMs <= MAX_TIMER_MS) return
  throw new ValueError(
    `Cannot call ${method}: timeoutMs must be from 0 to ${MAX_TIMER_MS}, got ${timeoutMs}; leave it ` +
      'out for no deadline',
    'timeoutMs',
  )
}

/** What a call rejects with whose deadline has passed. `stack`: where Python is, as faulthandler writes it. */
export function deadlineError(
  method: string,
  timeoutMs: number | undefined,
  options: { readonly overdue: boolean; readonly stateChanged?: boolean | undefined },
  stack = '',
): DeadlineError {
  const frames = quotedFrames(stack)
  const where = frames.length === 0 ? '' : `. It is in:\n${frames.join('\n')}`
  const rest = options.overdue ? `, and Python has not left it yet${where}` : ''
  return new DeadlineError(`${method} did not end within ${timeoutMs} ms${rest}`, options)
}

/** The innermost frames of the workload, without ours around them. */
function quotedFrames(stack: string): string[] {
  const own = `  File "${join(packageRoot(), 'python', 'torchbed')}${sep}`
  return stack
    .split('\n')
    .filter((line) => line.startsWith('  File "') && !line.startsWith(own))
    .slice(0, QUOTED_FRAMES)
}
