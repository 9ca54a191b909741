/** The problems found while a value is read, each with its path. */

import type { ConfigIssue } from '../errors.js'
import { MAX_REPORTED_ISSUES } from './constants.js'
import { clip } from '../core/quoting.js'
import type { Steps } from '../core/steps.js'
import { describe } from './describe.js'

/** What a reading function returns after it reported a problem. */
export const INVALID = Symbol('invalid')

/** Reads a value, or reports what is wrong with it and returns `INVALID`. */
export type Read<T> = (input: unknown, issues: Issues) => T | typeof INVALID

/** One problem, with the keys that lead to it. */
export interface Issue {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/** What becomes of fields that a record does not have. */
export type UnknownFields = 'ignore' | 'refuse'

/** Collects problems; lists the first `MAX_REPORTED_ISSUES` and counts the others. */
export class Issues {
  /** Records that peers write may be of a later version; what a person writes may be misspelt. */
  readonly unknownFields: UnknownFields
  readonly #path: PropertyKey[] = []
  readonly #listed: Issue[] = []
  /** Problems of parts that were left out, so that they are none of the whole. */
  readonly dropped: Issue[] = []
  #count = 0

  constructor(unknownFields: UnknownFields = 'ignore') {
    this.unknownFields = unknownFields
  }

  /** Reads a part of the value, so that problems with it name the part. */
  part<T, I>(
    key: PropertyKey,
    read: (input: I, issues: Issues) => T | typeof INVALID,
    input: I,
  ): T | typeof INVALID {
    this.#path.push(key)
    const value = read(input, this)
    this.#path.pop()
    return value
  }

  /** Like {@link part}, in steps. */
  *partSteps<T>(key: PropertyKey, steps: Steps<T | typeof INVALID>): Steps<T | typeof INVALID> {
    this.#path.push(key)
    const value = yield* steps
    this.#path.pop()
    return value
  }

  /**
   * Like {@link part}, for a part that may be left out: its problem goes to {@link dropped}.
   *
   * @param isProblem whether an error is a problem of the part too
   */
  attempt<T, I>(
    key: PropertyKey,
    read: (input: I, issues: Issues) => T | typeof INVALID,
    input: I,
    isProblem: (error: unknown) => error is Error,
  ): T | typeof INVALID {
    const level = this.#path.length
    const [count, listed] = [this.#count, this.#listed.length]
    let value: T | typeof INVALID
    try {
      value = this.part(key, read, input)
    } catch (error) {
      if (!isProblem(error)) throw error
      value = this.report(error.message)
      this.#path.length = level
    }
    if (value === INVALID) {
      this.dropped.push(...this.#listed.splice(listed))
      this.#count = count
    }
    return value
  }

  /** Reports that the value is not what was expected. A hint may say why that could be. */
  misfit(expected: string, input: unknown, hint = ''): typeof INVALID {
    // Hostile input could have millions of problems; those that are only counted need no text.
    const isListed = this.#count < MAX_REPORTED_ISSUES
    return this.report(isListed ? `expected ${expected}, got ${describe(input)}${hint}` : '')
  }

  /** Reports any other problem. */
  report(message: string): typeof INVALID {
    if (this.#count++ < MAX_REPORTED_ISSUES) this.#listed.push({ path: [...this.#path], message })
    return INVALID
  }

  /** The path of the part that is being read: after an exception, where it was thrown. */
  path(): PropertyKey[] {
    return [...this.#path]
  }

  /** The problems, and how many more there were. */
  list(): Issue[] {
    const rest = this.#count - this.#listed.length
    return rest === 0 ? this.#listed : [...this.#listed, { path: [], message: `and ${rest} more` }]
  }
}

/** An issue with its path as code would write it: `entries[3].bytes_len`, `metrics["a b"]`. */
export function configIssue({ path, message }: Issue): ConfigIssue {
  let text = ''
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`
    else if (/^[A-Za-z_]\w*$/.test(String(key)))
      text += text === '' ? String(key) : `.${String(key)}`
    else text += `[${clip(String(key))}]`
  }
  return { path: text, message }
}
