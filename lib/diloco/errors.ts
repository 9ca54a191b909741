/** The errors of DiLoCo's arithmetic: one class per reason, each with a stable `code`. */
import { TorchbedError } from '../errors.js'

/** A value that is to be sent is not finite, or larger than 2^100: every receiver would refuse the payload. */
export class ContributionValueError extends TorchbedError {
  readonly code = 'ERR_DILOCO_VALUE'

  constructor(
    /** Index of the first such value. */
    readonly index: number,
    /** The value, where it is still known. */
    readonly value: number | undefined,
  ) {
    const quoted = value === undefined ? '' : ` (${value})`
    super(
      `Cannot encode element ${index}${quoted}: a contribution holds finite values of at most 2^100; ` +
        'the inner steps have diverged, so leave this round out or start from the last state',
    )
  }
}

/** What a payload was refused for. */
export type PayloadRefusal = 'length' | 'scale' | 'code' | 'padding' | 'indices' | 'value'

const REFUSALS: Readonly<Record<PayloadRefusal, string>> = {
  length: 'its length is not that of the codec',
  scale: 'a scale is negative, above 2^100 or not a number',
  code: 'it has a code that no sender writes',
  padding: 'its padding is not zero',
  indices: 'its indices do not ascend within the chunk',
  value: 'a decoded value is not finite, or above 2^100',
}

/** A payload is not in the form that its codec writes. It came from a peer: drop that peer's contribution. */
export class PayloadError extends TorchbedError {
  readonly code = 'ERR_DILOCO_PAYLOAD'

  constructor(
    codec: string,
    readonly reason: PayloadRefusal,
    /** Element at which it was found: the first of its block for a scale, of its chunk for indices; 0 for a length. */
    readonly index: number,
    /** Which of the payloads of the call. */
    readonly payload: number,
    detail = `element ${index}`,
  ) {
    super(
      `Refused payload ${payload} of codec ${codec}: ${REFUSALS[reason]} (${detail}); leave its sender out of the round`,
    )
  }
}

/** An outer step gives a parameter or a moment that is not finite. Nothing was changed: the round is void for all. */
export class VoidRoundError extends TorchbedError {
  readonly code = 'ERR_DILOCO_VOID_ROUND'

  constructor(
    /** First element of the tile of 4,096 in which it was found. */
    readonly index: number,
  ) {
    super(
      `The outer step gives a value that is not finite near element ${index}; the state is as it was: ` +
        'go on with the next round, and lower the outer learning rate when it comes again',
    )
  }
}

/** Memory that cannot be worked on beside the event loop, or whose length does not fit. */
export class NumericsMemoryError extends TorchbedError {
  readonly code = 'ERR_DILOCO_MEMORY'
}
