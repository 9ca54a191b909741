/**
 * Contributions and what a peer still owes: the part of its work that its lossy codec did not send.
 *
 * It is a peer's own and never shared. After a round with its contribution a peer owes {@link owedAfter}; after one that
 * was decided without it, the whole `total`; after one that was abandoned, what it owed before.
 */
import type { Codec } from './codecs/codec.js'
import { ContributionValueError } from './errors.js'
import { borrow, checkLengths } from './memory.js'
import { numerics } from './numerics.js'

/** What a contribution is made of; vectors of one length. */
export interface ContributionInput {
  readonly codec: Codec
  /** The replicated parameters that the inner steps began with. */
  readonly base: Float32Array
  /** The parameters after them. */
  readonly local: Float32Array
  /** What this peer owes from the rounds before; null for nothing. */
  readonly owed: Float32Array | null
}

/** A contribution that is ready to be sent. */
export interface EncodedContribution {
  /** fl(fl(beta * owed) + fl(base - local)), element by element in binary32: what was to be sent. */
  readonly total: Float32Array
  /** `total`, encoded: what is sent. */
  readonly payload: Uint8Array
}

/**
 * Encodes what a peer has done since `base`, with what it owes.
 *
 * @param into memory for the result; default: new memory. `total` may be `owed` itself
 * @throws ContributionValueError when a value is not finite, or larger than 2^100; the content of `into` is then undefined
 * @throws NumericsMemoryError when an array cannot be borrowed, or has a wrong length
 */
export async function contribute(
  { codec, base, local, owed }: ContributionInput,
  into: Partial<EncodedContribution> = {},
): Promise<EncodedContribution> {
  const count = base.length
  const total = into.total ?? new Float32Array(count)
  const payload = into.payload ?? new Uint8Array(codec.encodedLength(count))
  checkLengths(count, { local, owed, total })
  checkLengths(codec.encodedLength(count), { payload })
  const fault = await borrow({ base, local, owed }, { total, payload }, () =>
    numerics().contribute(codec.number, base, local, owed, codec.feedback, total, payload),
  )
  if (fault !== null) throw new ContributionValueError(fault[2], total[fault[2]])
  return { total, payload }
}

/**
 * What a peer owes once its contribution was decided: fl(total - decoded), element by element.
 *
 * @param into where to, `total` itself too; default: new memory
 * @throws PayloadError when the payload is not one of the codec's
 * @throws NumericsMemoryError when an array cannot be borrowed, or has a wrong length
 */
export async function owedAfter(
  codec: Codec,
  { total, payload }: EncodedContribution,
  into: Float32Array = new Float32Array(total.length),
): Promise<Float32Array> {
  codec.checkLength(payload, total.length)
  checkLengths(total.length, { into })
  const fault = await borrow({ total, payload }, { into }, () =>
    numerics().remainder(codec.number, total, into, payload),
  )
  codec.refuse(fault)
  return into
}
