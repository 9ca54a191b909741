/**
 * Values to the JSON of a worker. docs/reference/values.md says what becomes what, docs/guide/isolation.md what JSON
 * cannot carry. NaN and infinities are written as the tokens that Python's reader knows.
 */
import { isAnyArrayBuffer, isDate } from 'node:util/types'
import { refusedObject, isPlain, RefusedValue, timestampText } from '../conversion-error.js'
import { MAX_INTEGER_DIGITS } from './constants.js'
import { MAX_VALUE_DEPTH, PyFloat, type PyInput } from '../values.js'

/** The JSON text. Throws {@link RefusedValue}, and what a getter throws. */
export function writePythonJson(value: PyInput): string {
  return new Writer().write(value)
}

class Writer {
  /** The objects around the value being written. */
  readonly #around = new Set<object>()

  write(value: unknown): string {
    switch (typeof value) {
      case 'undefined':
        return 'null'
      case 'string':
        return JSON.stringify(value)
      case 'number':
        return numberText(value)
      case 'bigint':
        return this.#integer(value)
      case 'boolean':
        return value ? 'true' : 'false'
      case 'object':
        return value === null ? 'null' : this.#object(value)
      default:
        throw new RefusedValue(`a ${typeof value} cannot be passed to Python`)
    }
  }

  #integer(value: bigint): string {
    const text = value.toString()
    if (text.length > MAX_INTEGER_DIGITS) {
      throw new RefusedValue(
        `an integer of ${text.length} digits cannot be passed to a worker process; ` +
          `Python reads up to ${MAX_INTEGER_DIGITS}`,
      )
    }
    return text
  }

  #object(value: object): string {
    if (this.#around.size >= MAX_VALUE_DEPTH) {
      throw new RefusedValue(`nested deeper than ${MAX_VALUE_DEPTH} levels`)
    }
    if (this.#around.has(value)) {
      throw new RefusedValue('an object that contains itself cannot be passed')
    }
    this.#around.add(value)
    const text = this.#composite(value)
    this.#around.delete(value)
    return text
  }

  #composite(value: object): string {
    if (Array.isArray(value)) return this.#list(value)
    if (isPlain(value)) return this.#fields(Object.entries(value))
    if (value instanceof Map) return this.#fields(value as ReadonlyMap<unknown, unknown>)
    if (value instanceof PyFloat) return this.#float(value)
    if (isDate(value)) return JSON.stringify(timestampText(value))
    if (ArrayBuffer.isView(value) || isAnyArrayBuffer(value)) {
      throw new RefusedValue(
        'bytes cannot be passed to a worker process, which speaks JSON; write them to a file and ' +
          'pass its path, or run the workload in this process',
      )
    }
    throw refusedObject(value, 'an array or a Map')
  }

  #list(items: readonly unknown[]): string {
    const texts: string[] = []
    for (let i = 0; i < items.length; i++) texts.push(this.#inner(i, items[i]))
    return `[${texts.join(',')}]`
  }

  #fields(entries: Iterable<readonly [unknown, unknown]>): string {
    const texts: string[] = []
    for (const [key, item] of entries) {
      if (typeof key !== 'string') {
        throw new RefusedValue(
          `a Map key that is a ${key === null ? 'null' : typeof key} cannot be passed to a worker ` +
            'process, which speaks JSON; use strings, or run the workload in this process',
        )
      }
      // As in JSON.stringify: a property that is undefined is a property that is absent.
      if (item !== undefined) texts.push(`${JSON.stringify(key)}:${this.#inner(key, item)}`)
    }
    return `{${texts.join(',')}}`
  }

  #inner(step: string | number, value: unknown): string {
    try {
      return this.write(value)
    } catch (error) {
      throw error instanceof RefusedValue ? error.within(step) : error
    }
  }

  #float({ value }: PyFloat): string {
    if (typeof value !== 'number') throw new RefusedValue('a PyFloat must hold a number')
    return floatText(value)
  }
}

function numberText(value: number): string {
  return Number.isSafeInteger(value) && !Object.is(value, -0) ? String(value) : floatText(value)
}

/** Digits that Python reads as the same float, and never as an int. */
function floatText(value: number): string {
  if (Object.is(value, -0)) return '-0.0'
  const text = String(value)
  return /^-?\d+$/.test(text) ? `${text}.0` : text
}
