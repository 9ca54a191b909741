/**
 * The gradient codecs of burn_p2p, as its peers write and read them (spec diloco-reference#codec-payloads).
 *
 * For rounds with Rust peers alone, whose models are small: plain loops on the JS thread. Between torchbed peers the
 * codecs beside this folder are smaller, faster and checked more strictly.
 */
import { ConfigError } from '../../errors.js'
import type { GradientCodec } from '../../schema/records/protocol.js'
import { ContributionValueError, PayloadError, type PayloadRefusal } from '../errors.js'

const f = Math.fround
/** Rust's `f32::EPSILON`: what is not larger counts as nothing. */
const EPSILON = 2 ** -23
const MASK = 2n ** 64n - 1n
const TWO_BIT_SIGNS: readonly number[] = [0, 1, -1]

interface ReferenceCodec {
  encode(values: Float32Array): Uint8Array
  decode(payload: Uint8Array, count: number): Float32Array
}

/**
 * Encodes a pseudo-gradient.
 *
 * @throws ContributionValueError when a value is not finite
 * @throws ConfigError for `LowRank`, which the reference refuses too, and for numbers that it cannot write
 */
export function encodeGradient(codec: GradientCodec, values: Float32Array): Uint8Array {
  const index = values.findIndex((value) => !Number.isFinite(value))
  if (index >= 0) throw new ContributionValueError(index, values[index])
  return codecFor(codec).encode(values)
}

/**
 * Decodes a peer's pseudo-gradient of `count` values.
 *
 * @throws PayloadError when the payload has another length or form, or gives a value that is not finite
 * @throws ConfigError as {@link encodeGradient}
 */
export function decodeGradient(
  codec: GradientCodec,
  payload: Uint8Array,
  count: number,
): Float32Array {
  const values = codecFor(codec).decode(payload, count)
  const index = values.findIndex((value) => !Number.isFinite(value))
  if (index >= 0) throw refusal('value', index)
  return values
}

function codecFor(codec: GradientCodec): ReferenceCodec {
  if (codec === 'Fp32') return FP32
  if (codec === 'Fp16') return FP16
  if ('SignSgd' in codec) return SIGNS
  if ('BlockwiseInt8' in codec) return blockwise(codec.BlockwiseInt8.block_size)
  if ('Qsgd' in codec) return quantised(codec.Qsgd.bits, codec.Qsgd.stochastic)
  throw impossible('LowRank', 'is not implemented by the reference either')
}

const FP32: ReferenceCodec = {
  encode: (values) => {
    const view = viewOf(new Uint8Array(4 * values.length))
    values.forEach((value, i) => view.setFloat32(4 * i, value, true))
    return bytesOf(view)
  },
  decode: (payload, count) => {
    checkLength(payload, 4 * count)
    const view = viewOf(payload)
    return Float32Array.from({ length: count }, (_, i) => view.getFloat32(4 * i, true))
  },
}

const FP16: ReferenceCodec = {
  encode: (values) => {
    const view = viewOf(new Uint8Array(2 * values.length))
    values.forEach((value, i) => view.setUint16(2 * i, halfOf(value), true))
    return bytesOf(view)
  },
  decode: (payload, count) => {
    checkLength(payload, 2 * count)
    const view = viewOf(payload)
    return Float32Array.from({ length: count }, (_, i) => valueOfHalf(view.getUint16(2 * i, true)))
  },
}

/** Two bits a value: 0 zero, 1 positive, 2 negative. */
const SIGNS: ReferenceCodec = {
  encode: (values) => {
    const payload = new Uint8Array(Math.ceil(values.length / 4))
    values.forEach((value, i) => {
      const code = value > 0 ? 1 : value < 0 ? 2 : 0
      payload[i >> 2] = (payload[i >> 2] ?? 0) | (code << (2 * (i % 4)))
    })
    return payload
  },
  decode: (payload, count) => {
    checkLength(payload, Math.ceil(count / 4))
    const code = (i: number) => ((payload[i >> 2] ?? 0) >> (2 * (i % 4))) & 3
    for (let i = count; i < 4 * payload.length; i++) if (code(i) !== 0) throw refusal('padding', i)
    return Float32Array.from({ length: count }, (_, i) => {
      const sign = TWO_BIT_SIGNS[code(i)]
      if (sign === undefined) throw refusal('code', i)
      return sign
    })
  },
}

/** Per block its length (u16), its scale (f32) and signed bytes. */
function blockwise(size: number): ReferenceCodec {
  if (!(size >= 1 && size <= 65_535))
    throw impossible('block_size', `must be 1..65535, not ${size}`)
  const encodedLength = (count: number) => count + 6 * Math.ceil(count / size)
  return {
    encode: (values) => {
      const view = viewOf(new Uint8Array(encodedLength(values.length)))
      for (let start = 0, at = 0; start < values.length; start += size) {
        const block = values.subarray(start, start + size)
        const top = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
        const scale = top <= EPSILON ? 0 : f(top / 127)
        view.setUint16(at, block.length, true)
        view.setFloat32(at + 2, scale, true)
        at += 6
        for (const value of block) {
          const whole = scale === 0 ? 0 : roundAway(f(value / scale))
          view.setInt8(at++, Math.max(-127, Math.min(127, whole)))
        }
      }
      return bytesOf(view)
    },
    decode: (payload, count) => {
      checkLength(payload, encodedLength(count))
      const view = viewOf(payload)
      const values = new Float32Array(count)
      for (let start = 0, at = 0; start < count; start += size) {
        const length = Math.min(size, count - start)
        if (view.getUint16(at, true) !== length) throw refusal('code', start)
        const scale = view.getFloat32(at + 2, true)
        at += 6
        for (let i = 0; i < length; i++) values[start + i] = f(view.getInt8(at++) * scale)
      }
      return values
    },
  }
}

/** The norm (f32), then per value its level (u16) and its sign (i8). */
function quantised(bits: number, isStochastic: boolean): ReferenceCodec {
  if (!(bits >= 1 && bits <= 15)) throw impossible('bits', `must be 1..15, not ${bits}`)
  const levels = 2 ** bits - 1
  return {
    encode: (values) => {
      const view = viewOf(new Uint8Array(4 + 3 * values.length))
      const norm = f(Math.sqrt(values.reduce((sum, value) => f(sum + f(value * value)), 0)))
      if (!Number.isFinite(norm)) throw new ContributionValueError(0, values[0])
      view.setFloat32(0, norm, true)
      values.forEach((value, i) => {
        const sign = Math.sign(value)
        let level = 0
        if (sign !== 0 && norm > EPSILON) {
          const exact = f(f(Math.abs(value) / norm) * levels)
          const low = Math.floor(exact)
          if (!isStochastic) level = roundAway(exact)
          else level = chance(i, value, bits) < f(exact - low) ? low + 1 : low
        }
        view.setUint16(4 + 3 * i, Math.max(0, Math.min(levels, level)), true)
        view.setInt8(6 + 3 * i, sign)
      })
      return bytesOf(view)
    },
    decode: (payload, count) => {
      checkLength(payload, 4 + 3 * count)
      const view = viewOf(payload)
      const norm = view.getFloat32(0, true)
      if (!(norm >= 0)) throw refusal('scale', 0)
      return Float32Array.from({ length: count }, (_, i) => {
        const level = view.getUint16(4 + 3 * i, true)
        const sign = view.getInt8(6 + 3 * i)
        if (level > levels || Math.abs(sign) > 1) throw refusal('code', i)
        return sign === 0 || level === 0 || norm <= EPSILON
          ? 0
          : f(f(sign * norm) * f(level / levels))
      })
    },
  }
}

/** In 0..1, from the place and the value alone: what all peers would draw. */
function chance(index: number, value: number, bits: number): number {
  const rotated = (x: bigint, by: bigint) => ((x << by) | (x >> (64n - by))) & MASK
  const view = viewOf(new Uint8Array(4))
  view.setFloat32(0, value, true)
  const seed = rotated(BigInt(view.getUint32(0, true)), 17n) ^ rotated(BigInt(bits), 48n)
  let z = ((BigInt(index) ^ seed) + 0x9e3779b97f4a7c15n) & MASK
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK
  return Number((z ^ (z >> 31n)) >> 40n) / 2 ** 24
}

/** To the nearest whole number, halves away from zero. */
function roundAway(x: number): number {
  const low = Math.floor(Math.abs(x))
  return Math.sign(x) * (Math.abs(x) - low >= 0.5 ? low + 1 : low)
}

/** IEEE half, ties to even; infinite beyond its range. */
function halfOf(value: number): number {
  const view = viewOf(new Uint8Array(4))
  view.setFloat32(0, value)
  const bits = view.getUint32(0)
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude < 0x38800000) return sign | evened(Math.abs(value) * 2 ** 24)
  const rounded = (magnitude + 0xfff + ((magnitude >> 13) & 1) - 0x38000000) >> 13
  return sign | Math.min(rounded, 0x7c00)
}

/** The nearest whole number, ties to even, of 0..1024. */
const evened = (x: number): number => x + 2 ** 52 - 2 ** 52

function valueOfHalf(half: number): number {
  const exponent = (half >> 10) & 0x1f
  const mantissa = half & 0x3ff
  const sign = half & 0x8000 ? -1 : 1
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN
  return exponent === 0
    ? sign * mantissa * 2 ** -24
    : sign * (1024 + mantissa) * 2 ** (exponent - 25)
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
const bytesOf = (view: DataView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)

function checkLength(payload: Uint8Array, expected: number): void {
  if (payload.byteLength === expected) return
  throw refusal('length', 0, `${payload.byteLength} bytes, ${expected} expected`)
}

function refusal(reason: PayloadRefusal, index: number, detail?: string): PayloadError {
  return new PayloadError('of the reference', reason, index, 0, detail)
}

function impossible(path: string, message: string): ConfigError {
  return new ConfigError('Cannot use this gradient codec', [{ path, message }])
}
