/** Receipts for the work under a lease, and what they count (spec planning#receipts and defects#counts-are-estimates). */

import {
  dataReceiptId,
  timestamp,
  type AssignmentLease,
  type CachedMicroShard,
  type DataReceipt,
  type Metrics,
  type Timestamp,
  type WorkDisposition,
} from '../schema/index.js'
import { sumExact } from './exact-integers.js'

/** How much work was done. */
export interface ProcessedCounts {
  readonly examples_processed: number
  readonly tokens_processed: number
}

/** Makes the receipt for a lease. */
export class DataReceiptBuilder {
  readonly disposition: WorkDisposition
  readonly examples_processed: number
  readonly tokens_processed: number

  constructor(work: ProcessedCounts & { readonly disposition: WorkDisposition }) {
    this.disposition = work.disposition
    this.examples_processed = work.examples_processed
    this.tokens_processed = work.tokens_processed
  }

  /** Work that was done and counts. */
  static accepted(examples: number, tokens: number): DataReceiptBuilder {
    return new DataReceiptBuilder({
      disposition: 'Accepted',
      examples_processed: examples,
      tokens_processed: tokens,
    })
  }

  /**
   * The receipt, with its id; it lists all microshards of the lease, in its order.
   *
   * @throws ConfigError when a count or the time does not fit its format
   */
  build(
    lease: Pick<AssignmentLease, 'lease_id' | 'peer_id' | 'microshards'>,
    completedAt: Timestamp | Date,
  ): DataReceipt {
    const receipt = {
      lease_id: lease.lease_id,
      peer_id: lease.peer_id,
      completed_at: timestamp(completedAt),
      microshards: lease.microshards,
      examples_processed: this.examples_processed,
      tokens_processed: this.tokens_processed,
      disposition: this.disposition,
    }
    return { receipt_id: dataReceiptId(receipt), ...receipt }
  }
}

/**
 * Decides what a window processed: what the workload itself reported, else what the plan estimates for the
 * microshards that were there.
 *
 * A report counts when it is an integer from 0 to 2^53 - 1; a whole float is one. Zero is a report too: a window
 * that skipped everything did nothing. Each of the two counts is decided alone.
 *
 * @param reported the workload's own metrics, before the host writes its own over them (spec project#operations)
 * @param cached the microshards that the batches were made of
 * @throws DataSchemaError when an estimate is needed and the sum is beyond 2^53 - 1
 */
export function processedCounts(
  reported: Metrics,
  cached: readonly CachedMicroShard[],
): ProcessedCounts {
  const estimate = (field: 'estimated_examples' | 'estimated_tokens') =>
    sumExact(
      `The values of ${field}`,
      cached.map(({ microshard }) => microshard[field]),
    )
  return {
    examples_processed:
      reportedCount(reported, 'examples_processed') ?? estimate('estimated_examples'),
    tokens_processed: reportedCount(reported, 'tokens_processed') ?? estimate('estimated_tokens'),
  }
}

function reportedCount(metrics: Metrics, key: string): number | undefined {
  const value = Object.hasOwn(metrics, key) ? metrics[key] : undefined
  if (typeof value !== 'bigint' && typeof value !== 'number') return undefined
  const count = Number(value)
  return Number.isSafeInteger(count) && count >= 0 ? count : undefined
}
