import { ConfigError, TorchbedError } from '../errors.js'
import { ExitCode } from './exit-code.js'
import { printableLines } from './text/printable.js'
import { styleOf } from './text/terminal.js'

/** An error as programs get it. */
export interface ErrorReport {
  /** As in `TorchbedError.code`; the system's (`EACCES`), or a class name, for other errors. */
  readonly code: string
  /** With the Python traceback where there is one. */
  readonly message: string
}

/** Any thrown value in words. */
export function describeError(error: unknown): ErrorReport {
  if (error instanceof TorchbedError) {
    const traceback = 'pythonTraceback' in error ? `\n${String(error.pythonTraceback)}` : ''
    return { code: error.code, message: `${error.message}${traceback}`.trimEnd() }
  }
  if (error instanceof Error) {
    const code = 'code' in error ? String(error.code) : error.name
    return { code, message: error.message }
  }
  return { code: 'ERR_UNKNOWN', message: String(error) }
}

/** The lines of an error for people, safe on a terminal. */
export function errorLines({ code, message }: ErrorReport): string[] {
  const [first = '', ...rest] = printableLines(message)
  return [`${styleOf(process.stderr).red(code)}: ${first}`, ...rest]
}

/** Writes an error to stderr. */
export function printError(error: ErrorReport): void {
  process.stderr.write(`${errorLines(error).join('\n')}\n`)
}

/** The exit code of a command that an error ended. */
export function exitCodeOf(error: unknown): number {
  return error instanceof ConfigError ? ExitCode.badUsage : ExitCode.failure
}
