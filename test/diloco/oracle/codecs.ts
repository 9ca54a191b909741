/** The codecs of contributions once more, slow and plain: one value after the other, Math.fround after each operation. */
import type { CodecName } from '../../../lib/diloco/index.js'

export interface OracleCodec {
  encode(x: Float32Array): Uint8Array
  /** Throws RangeError for what a receiver refuses. */
  receive(payload: Uint8Array, n: number): Float32Array
}

const LARGE = 2 ** 100
const TINY = 2 ** -100
const f = Math.fround

/** `[start, end]` of blocks from the beginning; the last is shorter. */
export function blocks(n: number, size: number): [number, number][] {
  const result: [number, number][] = []
  for (let i = 0; i < n; i += size) result.push([i, Math.min(i + size, n)])
  return result
}

/** To the nearest whole number, ties to even. */
function rint(x: number): number {
  const low = Math.floor(x)
  const rest = x - low
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1
  return low % 2 === 0 ? low : low + 1
}

const isFit = (x: number) => Math.abs(x) <= LARGE

function refuseUnfit(x: Float32Array): void {
  for (let i = 0; i < x.length; i++) if (!isFit(x[i]!)) throw new RangeError(`element ${i}`)
}

const isScale = (x: number) => x >= 0 && x <= LARGE

class Writer {
  readonly bytes: number[] = []
  byte = (value: number) => void this.bytes.push(value & 0xff)
  u16 = (value: number) => {
    this.byte(value)
    this.byte(value >> 8)
  }
  f32 = (value: number) => this.bytes.push(...new Uint8Array(Float32Array.of(value).buffer))
  /** Bits, the lowest of the first byte first. */
  bits(bits: readonly number[]): void {
    for (let i = 0; i < bits.length; i += 8) {
      this.byte(bits.slice(i, i + 8).reduce((sum, bit, j) => sum | (bit << j), 0))
    }
  }
  done = () => Uint8Array.from(this.bytes)
}

class Reader {
  #at = 0
  readonly #view: DataView
  constructor(readonly payload: Uint8Array) {
    this.#view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  }
  byte = () => this.payload[this.#at++] ?? fail('too short')
  i8 = () => (this.byte() << 24) >> 24
  u16 = () => this.byte() | (this.byte() << 8)
  f32() {
    if (this.#at + 4 > this.payload.length) fail('too short')
    this.#at += 4
    return this.#view.getFloat32(this.#at - 4, true)
  }
  scale() {
    const scale = this.f32()
    return isScale(scale) ? scale : fail('a scale')
  }
  bits(count: number): number[] {
    const all: number[] = []
    while (all.length < count) {
      const byte = this.byte()
      for (let j = 0; j < 8; j++) all.push((byte >> j) & 1)
    }
    if (all.slice(count).includes(1)) fail('padding')
    return all.slice(0, count)
  }
  end() {
    if (this.#at !== this.payload.length) fail('too long')
  }
}

function fail(why: string): never {
  throw new RangeError(why)
}

/** A codec of what each writes and reads. */
function codec(
  write: (x: Float32Array, to: Writer) => void,
  read: (from: Reader, n: number) => readonly number[],
): OracleCodec {
  return {
    encode(x) {
      refuseUnfit(x)
      const to = new Writer()
      write(x, to)
      return to.done()
    },
    receive(payload, n) {
      const from = new Reader(payload)
      const x = Float32Array.from(read(from, n))
      from.end()
      refuseUnfit(x)
      return x
    },
  }
}

const times = <T>(n: number, make: (i: number) => T) => Array.from({ length: n }, (_, i) => make(i))

/** The nearest half of a magnitude, by trying: its unit is that of its exponent, or of the subnormal ones. */
function halfBits(x: number): number {
  const sign = Object.is(Math.sign(x), -0) || x < 0 ? 0x8000 : 0
  const magnitude = Math.min(Math.abs(x), 65504)
  if (magnitude < 2 ** -14) return sign | rint(magnitude * 2 ** 24)
  let exponent = 15
  while (2 ** exponent > magnitude) exponent--
  // The mantissa may round up to 2048: that is the next exponent.
  return sign | ((exponent + 14) * 1024 + rint(magnitude * 2 ** (10 - exponent)))
}

function halfValue(bits: number): number {
  const exponent = (bits >> 10) & 0x1f
  const mantissa = bits & 0x3ff
  const magnitude =
    exponent === 0
      ? mantissa * 2 ** -24
      : exponent === 31
        ? Infinity
        : (1024 + mantissa) * 2 ** (exponent - 25)
  return bits & 0x8000 ? -magnitude : magnitude
}

const bitsOf = (x: number) => new Uint32Array(Float32Array.of(x).buffer)[0]!
const floatOf = (bits: number) => new Float32Array(Uint32Array.of(bits).buffer)[0]!

function brainBits(x: number): number {
  const bits = bitsOf(x)
  const low = bits % 65536
  const high = (bits - low) / 65536
  return low > 0x8000 || (low === 0x8000 && high % 2 === 1) ? high + 1 : high
}

function quantised(x: Float32Array, levels: number) {
  const scales: number[] = []
  const q: number[] = []
  for (const [a, b] of blocks(x.length, 256)) {
    const part = [...x.subarray(a, b)]
    const top = part.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    const scale = top < TINY ? 0 : f(top / levels)
    scales.push(scale)
    for (const value of part) {
      const whole = scale === 0 ? 0 : rint(f(value / scale))
      q.push(Math.max(-levels, Math.min(levels, whole)))
    }
  }
  return { scales, q }
}

const restored = (q: readonly number[], scales: readonly number[]) =>
  q.map((value, i) => f(value * scales[Math.floor(i / 256)]!))

/** The binary64 sum in order, by the count. */
const mean64 = (x: readonly number[]) => x.reduce((sum, value) => sum + value, 0) / x.length

const kept = (length: number) => Math.max(1, Math.floor((length * 64) / 4096))

export const ORACLE_CODECS: Readonly<Record<CodecName, OracleCodec>> = {
  fp32: codec(
    (x, to) => x.forEach((value) => void to.f32(value)),
    (from, n) => times(n, () => from.f32()),
  ),
  fp16: codec(
    (x, to) => x.forEach((value) => to.u16(halfBits(value))),
    (from, n) => times(n, () => halfValue(from.u16())),
  ),
  bf16: codec(
    (x, to) => x.forEach((value) => to.u16(brainBits(value))),
    (from, n) => times(n, () => floatOf(from.u16() * 65536)),
  ),
  int8: codec(
    (x, to) => {
      const { scales, q } = quantised(x, 127)
      for (const scale of scales) to.f32(scale)
      for (const value of q) to.byte(value)
    },
    (from, n) => {
      const scales = times(Math.ceil(n / 256), () => from.scale())
      const q = times(n, () => from.i8())
      if (q.includes(-128)) fail('a code')
      return restored(q, scales)
    },
  ),
  int4: codec(
    (x, to) => {
      const { scales, q } = quantised(x, 7)
      for (const scale of scales) to.f32(scale)
      for (let i = 0; i < q.length; i += 2) to.byte((q[i]! & 15) | ((q[i + 1] ?? 0) << 4))
    },
    (from, n) => {
      const scales = times(Math.ceil(n / 256), () => from.scale())
      const q = times(Math.ceil(n / 2), () => from.byte())
        .flatMap((byte) => [byte & 15, byte >> 4])
        .map((nibble) => (nibble > 7 ? nibble - 16 : nibble))
      if (n % 2 === 1 && q.pop() !== 0) fail('padding')
      if (q.includes(-8)) fail('a code')
      return restored(q, scales)
    },
  ),
  sign: codec(
    (x, to) => {
      for (const [a, b] of blocks(x.length, 1024))
        to.f32(mean64([...x.subarray(a, b)].map(Math.abs)))
      to.bits([...x].map((value) => (value < 0 ? 1 : 0)))
    },
    (from, n) => {
      const scales = times(Math.ceil(n / 1024), () => from.scale())
      return from.bits(n).map((bit, i) => {
        const scale = scales[Math.floor(i / 1024)]!
        return bit === 1 ? -scale : scale
      })
    },
  ),
  topk: codec(
    (x, to) => {
      for (const [a, b] of blocks(x.length, 4096)) {
        const part = [...x.subarray(a, b)]
        const magnitude = (i: number) => Math.abs(part[i]!)
        const order = part
          .map((_, i) => i)
          .sort((i, j) => magnitude(j) - magnitude(i) || i - j)
          .slice(0, kept(part.length))
        const high = new Set(order.slice(0, Math.ceil(order.length / 2)))
        const index = order.sort((i, j) => i - j)
        const low = index.filter((i) => !high.has(i))
        to.f32(mean64(index.filter((i) => high.has(i)).map(magnitude)))
        to.f32(low.length === 0 ? 0 : mean64(low.map(magnitude)))
        to.bits(index.flatMap((i) => times(12, (bit) => (i >> bit) & 1)))
        to.bits(index.flatMap((i) => [high.has(i) ? 1 : 0, part[i]! < 0 ? 1 : 0]))
      }
    },
    (from, n) => {
      const x = times(n, () => 0)
      for (const [a, b] of blocks(n, 4096)) {
        const k = kept(b - a)
        const [high, low] = [from.scale(), from.scale()]
        const bits = from.bits(12 * k)
        const codes = from.bits(2 * k)
        let last = -1
        for (let i = 0; i < k; i++) {
          const index = times(12, (bit) => bits[12 * i + bit]! << bit).reduce((p, q) => p + q)
          if (index <= last || index >= b - a) fail('indices')
          last = index
          const level = codes[2 * i] === 1 ? high : low
          x[a + index] = codes[2 * i + 1] === 1 ? -level : level
        }
      }
      return x
    },
  ),
}
