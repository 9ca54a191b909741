/** A failure that a person can do something about. */
import process from 'node:process'

export class Failure extends Error {
  /**
   * @param {string} cause what went wrong
   * @param {string} remedy what to do about it
   * @param {string} [details] the last lines of a program's output
   */
  constructor(cause, remedy, details = '') {
    super(cause)
    this.remedy = remedy
    this.details = details
  }
}

/** Say on stderr what stopped `activity` and how to get on. */
export function reportFailure(activity, error) {
  const write = (text) => process.stderr.write(`${text}\n`)
  if (!(error instanceof Failure)) {
    const isPlain = error?.code?.startsWith?.('ERR_PYTHON') // says itself what to do
    write(`\n${activity} failed: ${isPlain ? error.message : error?.stack}`)
    return
  }
  if (error.details) write(`\n${error.details.replace(/^/gm, '    ')}`)
  write(`\n${activity} failed: ${error.message}`)
  write(`What to do: ${error.remedy}`)
}
