/** What every codec of contributions does: n float32 values to bytes, and bytes of a peer back to values. */
import { ContributionValueError, PayloadError, VoidRoundError } from '../errors.js'
import { borrow, checkLengths } from '../memory.js'
import { FAULTS, numerics, type Fault } from '../numerics.js'

/** Name of a codec, as it stands in plans and contributions. */
export type CodecName = 'fp32' | 'fp16' | 'bf16' | 'int8' | 'int4' | 'sign' | 'topk'

/** What is particular to a codec. */
export interface CodecSpec {
  readonly name: CodecName
  /** As `Codec` in native/numerics/codec.hpp. */
  readonly number: number
  /** How much of what is owed goes into the next contribution. */
  readonly feedback: number
  /** Bytes of the payload of `count` values. */
  readonly length: (count: number) => number
}

/**
 * A codec between torchbed peers. Its methods run on native threads; the arrays given to them are read or written
 * until the promise settles, and must be neither changed nor transferred before.
 */
export class Codec {
  readonly name: CodecName
  /** How much of what a peer owes goes into its next contribution: 1, or less where what is owed grows stale. */
  readonly feedback: number
  /** For the native arithmetic. */
  readonly number: number
  readonly #length: CodecSpec['length']

  constructor({ name, number, feedback, length }: CodecSpec) {
    this.name = name
    this.number = number
    this.feedback = feedback
    this.#length = length
  }

  /** Bytes of the payload of `count` values. */
  encodedLength(count: number): number {
    return this.#length(count)
  }

  /**
   * Encodes a vector.
   *
   * @param into where to, of {@link encodedLength} bytes; default: new memory
   * @throws ContributionValueError when a value is not finite, or larger than 2^100
   * @throws NumericsMemoryError when an array cannot be borrowed, or has a wrong length
   */
  async encode(values: Float32Array, into?: Uint8Array): Promise<Uint8Array> {
    const payload = into ?? new Uint8Array(this.encodedLength(values.length))
    checkLengths(this.encodedLength(values.length), { into: payload })
    const fault = await borrow({ values }, { into: payload }, () =>
      numerics().encode(this.number, values, payload),
    )
    if (fault !== null) throw new ContributionValueError(fault[2], values[fault[2]])
    return payload
  }

  /**
   * Checks a payload of a peer and decodes it: what everybody does with it, its sender included.
   *
   * @param count the number of values
   * @param into where to; default: new memory. Its content is undefined after a refusal
   * @throws PayloadError when it is not what {@link encode} writes
   * @throws NumericsMemoryError when an array cannot be borrowed, or has a wrong length
   */
  async decode(payload: Uint8Array, count: number, into?: Float32Array): Promise<Float32Array> {
    this.checkLength(payload, count)
    const values = into ?? new Float32Array(count)
    checkLengths(count, { into: values })
    const fault = await borrow({ payload }, { into: values }, () =>
      numerics().decode(this.number, values, payload),
    )
    this.refuse(fault)
    return values
  }

  /**
   * Checks a payload as {@link decode} does, without keeping the values.
   *
   * @returns the Euclidean norm of the decoded values: the square root of the binary64 sum of squares, one partial
   *   sum for each 65,536 values in order, these added in order
   * @throws PayloadError as {@link decode}
   */
  async norm(payload: Uint8Array, count: number): Promise<number> {
    this.checkLength(payload, count)
    const answer = await borrow({ payload }, {}, () => numerics().norm(this.number, count, payload))
    if (typeof answer === 'number') return answer
    return this.refuse(answer)
  }

  /** @throws PayloadError when the payload is not as long as `count` values make it */
  checkLength(payload: Uint8Array, count: number, which = 0): void {
    const expected = this.encodedLength(count)
    if (payload.byteLength === expected) return
    const detail = `${payload.byteLength} bytes, ${expected} expected`
    throw new PayloadError(this.name, 'length', 0, which, detail)
  }

  /** @internal Throws what a native function has found. */
  refuse(fault: Fault): never
  /** @internal */
  refuse(fault: Fault | null): void
  /** @internal */
  refuse(fault: Fault | null): void {
    if (fault === null) return
    const [kind, payload, index] = fault
    const reason = FAULTS[kind]
    if (reason === 'overflow') throw new VoidRoundError(index)
    if (reason === undefined || reason === 'none') throw new Error(`native fault ${kind}`)
    throw new PayloadError(this.name, reason, index, payload)
  }
}

/** Bytes of the scales of blocks of `size` values, binary32 each. */
export const scalesLength = (count: number, size: number): number => 4 * Math.ceil(count / size)
