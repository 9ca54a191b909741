/** Stopping a command by Ctrl-C, or by the signal of a supervisor or of a terminal that closes. */

import { ExitCode } from './exit-code.js'

/** How long a cancelled call may take to end before the process leaves without it, in milliseconds. */
const CANCEL_GRACE_MS = 1000

/** What stops a run, and the exit code. SIGHUP says that the terminal is gone. */
const STOP_SIGNALS = {
  SIGINT: ExitCode.interrupted,
  SIGTERM: ExitCode.terminated,
  SIGHUP: ExitCode.hungUp,
} as const
type StopSignal = keyof typeof STOP_SIGNALS

/** A stop that can be asked for by a signal. */
export interface Stop {
  /** Fires at the first signal. */
  readonly signal: AbortSignal
  /** Reports the signal; returns the exit code. */
  leave(): number
  /** Leaves signals to others again. */
  dispose(): void
}

/**
 * The first SIGINT, SIGTERM or SIGHUP cancels. Should what runs not end in time, because it is inside one long C
 * function for one, the process leaves without it; a second signal leaves at once.
 */
export function stopOnSignals(report: (signal: string) => void): Stop {
  const controller = new AbortController()
  let exitCode: number = ExitCode.interrupted
  let timer: NodeJS.Timeout | undefined
  let received: StopSignal = 'SIGINT'
  const leave = () => {
    report(received === 'SIGINT' ? 'Ctrl-C' : received)
    return exitCode
  }
  const onSignal = (signal: StopSignal) => {
    if (controller.signal.aborted) process.exit(exitCode)
    received = signal
    exitCode = STOP_SIGNALS[signal]
    controller.abort(new Error(`stopped by ${signal}`))
    timer = setTimeout(() => process.exit(leave()), CANCEL_GRACE_MS)
  }
  const signals = Object.keys(STOP_SIGNALS) as StopSignal[]
  for (const signal of signals) process.on(signal, onSignal)
  return {
    signal: controller.signal,
    leave,
    dispose: () => {
      clearTimeout(timer)
      for (const signal of signals) process.off(signal, onSignal)
    },
  }
}
