import { InstallationError, type TorchbedError } from '../errors.js'

/** One thing that was looked at. */
export interface Check {
  /** What, in one word, such as `libpython`. */
  readonly name: string
  /** A failure keeps torchbed from working; a warning may. */
  readonly status: 'ok' | 'warning' | 'failure'
  /** What was found, in one line. */
  readonly value: string
  /** The cause of a failure or warning; may have several lines. */
  readonly detail?: string
  /** The one command that repairs it, for a shell. */
  readonly remedy?: string
  /** Of the error that the library throws for it, as in docs/reference/errors.md. */
  readonly code?: string
}

/** The check that an error of the library ended, in the error's own words. */
export function failedCheck(name: string, error: TorchbedError): Check {
  const failure = { name, status: 'failure', value: error.code, code: error.code } as const
  if (!(error instanceof InstallationError)) return { ...failure, detail: error.message }
  const { problem, remedy, otherwise, details } = error
  const sentences = [problem, otherwise].filter((text) => text !== undefined).join('. ')
  const detail = [sentences, ...details].join('\n')
  return remedy === undefined ? { ...failure, detail } : { ...failure, detail, remedy }
}
