import { MAX_TIMER_MS } from '../core/timers.js'
import { DeadlineError, ValueError } from '../errors.js'

/** How long a cancelled call may take to end before it is reported as overdue, in milliseconds. */
export const DEADLINE_GRACE_MS = 100

/** Throws {@link ValueError} for a `timeoutMs` that is none. */
export function checkTimeout(method: string, timeoutMs: number): void {
  if (timeoutMs >= 0 && timeoutMs <= MAX_TIMER_MS) return
  throw new ValueError(
    `Cannot call ${method}: timeoutMs must be from 0 to ${MAX_TIMER_MS}, got ${timeoutMs}; leave it ` +
      'out for no deadline',
    'timeoutMs',
  )
}

/** What a call rejects with whose deadline has passed. */
export function deadlineError(
  method: string,
  timeoutMs: number | undefined,
  options: { readonly overdue: boolean; readonly stateChanged?: boolean | undefined },
): DeadlineError {
  const rest = options.overdue ? ', and Python has not left it yet' : ''
  return new DeadlineError(`${method} did not end within ${timeoutMs} ms${rest}`, options)
}
