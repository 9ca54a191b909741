/** A result of Python as a parameter. */
import { PyFloat, type PyInput } from '../../lib/index.js'

/** What is the same value to Python: a whole float needs its class, or it would be an int. */
export function asSent(value: unknown): PyInput {
  if (typeof value === 'number') return new PyFloat(value)
  if (Array.isArray(value)) return value.map(asSent)
  if (value instanceof Map) {
    return new Map(
      [...(value as ReadonlyMap<string, unknown>)].map(([key, item]) => [key, asSent(item)]),
    )
  }
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) {
    return value as PyInput
  }
  return new Map(Object.entries(value).map(([name, item]) => [name, asSent(item)]))
}
