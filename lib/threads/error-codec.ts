/**
 * Errors on their way to another thread. A structured clone keeps neither the class nor the fields of an error, so
 * that they travel as plain data: name, message, stack, cause, and every own field.
 */

import * as commonErrors from '../errors.js'

/** An error as plain data. */
export interface EncodedError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** Whether there is a cause, which may be undefined. */
  readonly hasCause: boolean
  readonly cause: unknown
  /** Own enumerable properties, `code` among them, that a structured clone takes. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** Marks an encoded error among values that are thrown or are causes, which may be anything. */
interface Encoded {
  readonly torchbedError: EncodedError
}

const STANDARD_FIELDS = ['name', 'message', 'stack', 'cause']

type ErrorClass = { readonly prototype: object }

/** The errors of the language and those that all of torchbed throws. */
const COMMON = {
  ...commonErrors,
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
}

/** Turns errors into plain data and back. Both threads need the same classes. */
export class ErrorCodec {
  /** The classes that an error gets back, by name. */
  readonly #classes: ReadonlyMap<string, ErrorClass>

  /** @param modules with the error classes that may travel, beside those of the language and of `lib/errors.ts` */
  constructor(...modules: readonly Readonly<Record<string, unknown>>[]) {
    const named = [COMMON, ...modules].flatMap((module) => Object.entries(module))
    this.#classes = new Map(
      named.filter((entry): entry is [string, typeof Error] => isErrorClass(entry[1])),
    )
  }

  /** What was thrown, in a form that can be posted. */
  encode(thrown: unknown): unknown {
    if (!(thrown instanceof Error)) return isCloneable(thrown) ? thrown : String(thrown)
    const { name, message, stack, cause, constructor } = thrown
    const own = Object.entries(thrown).filter(([field]) => !STANDARD_FIELDS.includes(field))
    const encoded: EncodedError = {
      name: this.#classes.has(constructor.name) ? constructor.name : name,
      message,
      stack,
      hasCause: Object.hasOwn(thrown, 'cause'),
      cause: this.encode(cause),
      fields: Object.fromEntries(own.filter(([, value]) => isCloneable(value))),
    }
    return { torchbedError: encoded } satisfies Encoded
  }

  /** What was thrown on the other thread; a class that is not known here becomes Error with the same name. */
  decode(posted: unknown): unknown {
    if (!isEncoded(posted)) return posted
    const { name, message, stack, hasCause, cause, fields } = posted.torchbedError
    const error = new Error(message, hasCause ? { cause: this.decode(cause) } : {})
    const { prototype = Error.prototype } = this.#classes.get(name) ?? {}
    Object.setPrototypeOf(error, prototype)
    Object.assign(error, fields)
    if (error.name !== name) error.name = name
    if (stack !== undefined) Object.defineProperty(error, 'stack', { value: stack, writable: true })
    return error
  }
}

function isErrorClass(value: unknown): boolean {
  return typeof value === 'function' && (value === Error || value.prototype instanceof Error)
}

function isEncoded(value: unknown): value is Encoded {
  return typeof value === 'object' && value !== null && 'torchbedError' in value
}

function isCloneable(value: unknown): boolean {
  try {
    structuredClone(value)
    return true
  } catch {
    return false
  }
}
