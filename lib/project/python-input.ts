import type { Codec, Wire } from '../schema/index.js'
import { PyFloat, type PyInput } from '../runtime/values.js'

/**
 * A record as a call's parameter. Its floats stay floats and its integers integers, whatever they look
 * like in JavaScript, exactly as they would arrive through the reference's JSON.
 */
export function pythonInput<T>(codec: Codec<T>, value: T): PyInput {
  return fromWire(codec.toWire(value))
}

function fromWire(wire: Wire): PyInput {
  if (typeof wire === 'number') return new PyFloat(wire)
  if (wire === null || typeof wire !== 'object') return wire
  if (wire instanceof Uint8Array) return Array.from(wire)
  if (wire instanceof Float32Array) return Array.from(wire, (item) => new PyFloat(item))
  if (wire instanceof Map) {
    return new Map([...wire].map(([key, item]: [string, Wire]) => [key, fromWire(item)]))
  }
  return (wire as readonly Wire[]).map(fromWire)
}
