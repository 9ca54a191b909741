/**
 * A second CBOR writer and a reader, written from RFC 8949 and spec formats#canonical-cbor without a look at the first:
 * hex texts instead of a buffer, and a table of all half floats instead of bit arithmetic.
 */

import type { Wire } from '../../../lib/json/wire.js'

/** The value of a half float, by the formula of the standard. */
function halfValue(bits: number): number {
  const sign = bits >= 0x8000 ? -1 : 1
  const exponent = Math.floor(bits / 1024) % 32
  const fraction = bits % 1024
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** Every half float but NaN, by value; -0 apart. */
const HALVES = new Map<number | string, number>()
for (let bits = 0; bits <= 0xffff; bits++) {
  const value = halfValue(bits)
  if (!Number.isNaN(value)) HALVES.set(Object.is(value, -0) ? '-0' : value, bits)
}

const hex = (value: number | bigint, digits: number) => value.toString(16).padStart(digits, '0')

function head(major: number, argument: bigint): string {
  const initial = (low: number) => hex(major * 32 + low, 2)
  if (argument < 24n) return initial(Number(argument))
  if (argument < 256n) return initial(24) + hex(argument, 2)
  if (argument < 65536n) return initial(25) + hex(argument, 4)
  if (argument < 4294967296n) return initial(26) + hex(argument, 8)
  return initial(27) + hex(argument, 16)
}

function float(value: number): string {
  if (Number.isNaN(value)) return 'f97e00'
  const half = HALVES.get(Object.is(value, -0) ? '-0' : value)
  if (half !== undefined) return `f9${hex(half, 4)}`
  const single = Buffer.from(new Float32Array([value]).buffer).reverse()
  if (new Float32Array([value])[0] === value) return `fa${single.toString('hex')}`
  return `fb${Buffer.from(new Float64Array([value]).buffer)
    .reverse()
    .toString('hex')}`
}

const text = (value: string) => {
  const utf8 = new TextEncoder().encode(value)
  return head(3, BigInt(utf8.length)) + Array.from(utf8, (byte) => hex(byte, 2)).join('')
}

/** The floats of messages between peers (spec network#wire-cbor). */
const wide = {
  double: (value: number) => {
    const view = new DataView(new ArrayBuffer(8))
    view.setFloat64(0, value)
    return `fb${hex(view.getBigUint64(0), 16)}`
  },
  single: (value: number) => {
    const view = new DataView(new ArrayBuffer(4))
    view.setFloat32(0, value)
    return `fa${hex(view.getUint32(0), 8)}`
  },
}

/** The canonical CBOR of a wire value, in hex. */
export function independentCbor(value: Wire): string {
  return cborOf(value, { double: float, single: float })
}

/** The CBOR of a wire value as peers send it, in hex. */
export function independentWireCbor(value: Wire): string {
  return cborOf(value, wide)
}

function cborOf(value: Wire, floats: typeof wide): string {
  if (value === null) return 'f6'
  if (value === true) return 'f5'
  if (value === false) return 'f4'
  if (typeof value === 'bigint') return value < 0n ? head(1, -value - 1n) : head(0, value)
  if (typeof value === 'number') return floats.double(value)
  if (typeof value === 'string') return text(value)
  if (value instanceof Map) {
    const fields = [...(value as ReadonlyMap<string, Wire>)]
    const body = fields.map(([key, item]) => text(key) + cborOf(item, floats))
    return head(5, BigInt(fields.length)) + body.join('')
  }
  if (value instanceof Float32Array) {
    return head(4, BigInt(value.length)) + Array.from(value, floats.single).join('')
  }
  const items: Wire[] =
    value instanceof Uint8Array ? Array.from(value, BigInt) : Array.from(value as readonly Wire[])
  return head(4, BigInt(items.length)) + items.map((item) => cborOf(item, floats)).join('')
}

/** Reads one CBOR value back into the wire model; every byte must be used. */
export function readCbor(bytes: Uint8Array): Wire {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0

  function argument(low: number): bigint {
    const start = at
    switch (low) {
      case 24:
        at += 1
        return BigInt(view.getUint8(start))
      case 25:
        at += 2
        return BigInt(view.getUint16(start))
      case 26:
        at += 4
        return BigInt(view.getUint32(start))
      case 27:
        at += 8
        return view.getBigUint64(start)
      default:
        if (low > 23) throw new Error(`indefinite or reserved length ${low}`)
        return BigInt(low)
    }
  }

  function simple(low: number): Wire {
    const start = at
    switch (low) {
      case 20:
        return false
      case 21:
        return true
      case 22:
        return null
      case 25:
        at += 2
        return halfValue(view.getUint16(start))
      case 26:
        at += 4
        return view.getFloat32(start)
      case 27:
        at += 8
        return view.getFloat64(start)
      default:
        throw new Error(`simple value ${low}`)
    }
  }

  function value(): Wire {
    const initial = view.getUint8(at++)
    const major = initial >> 5
    if (major === 7) return simple(initial & 31)
    const count = argument(initial & 31)
    switch (major) {
      case 0:
        return count
      case 1:
        return -1n - count
      case 3: {
        const end = at + Number(count)
        const result = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
          bytes.subarray(at, end),
        )
        at = end
        return result
      }
      case 4:
        return Array.from({ length: Number(count) }, value)
      case 5:
        return new Map(
          Array.from({ length: Number(count) }, (): [string, Wire] => [value() as string, value()]),
        )
      default:
        throw new Error(`major type ${major}`)
    }
  }

  const result = value()
  if (at !== bytes.length) throw new Error(`${bytes.length - at} bytes left over`)
  return result
}
