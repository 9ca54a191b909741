/** The errors of lib/data: the dataloader catalogue of spec planning#errors, and what the reference did not check. */

import { TorchbedError } from '../errors.js'

/** Base of every error of lib/data that is not a plain `ConfigError` or `AbortError`. */
export abstract class DataError extends TorchbedError {}

// --- spec planning#errors ---------------------------------------------------------------------------------

/** A record cannot be read, or its numbers or texts do not fit its format. */
export class DataSchemaError extends DataError {
  readonly code = 'ERR_DATA_SCHEMA'
}

/** The file system refused; `cause` is its error. */
export class DataIoError extends DataError {
  readonly code = 'ERR_DATA_IO'
}

/** The upstream server could not be reached, answered with an error, or stopped answering. */
export class DataHttpError extends DataError {
  readonly code = 'ERR_DATA_HTTP'
  readonly url: string
  /** The status of the answer, where there was one. */
  readonly status: number | undefined

  constructor(message: string, url: string, status?: number, options?: ErrorOptions) {
    super(message, options)
    this.url = url
    this.status = status
  }
}

/** `target_microshard_bytes` is 0 (spec planning#microshards). */
export class InvalidTargetMicroshardBytesError extends DataError {
  readonly code = 'ERR_DATA_INVALID_TARGET_MICROSHARD_BYTES'
}

/** `lease_duration_seconds` is not positive (spec planning#leases). */
export class InvalidLeaseDurationError extends DataError {
  readonly code = 'ERR_DATA_INVALID_LEASE_DURATION'
}

/** The budget of work units is not a positive integer (spec planning#leases). */
export class InvalidBudgetError extends DataError {
  readonly code = 'ERR_DATA_INVALID_BUDGET'
}

/** There is no microshard to lease (spec planning#leases). */
export class NoMicroshardsError extends DataError {
  readonly code = 'ERR_DATA_NO_MICROSHARDS'
}

/** The fetch manifest says nothing about a leased microshard (spec planning#shard-cache). */
export class MissingFetchEntryError extends DataError {
  readonly code = 'ERR_DATA_MISSING_FETCH_ENTRY'
}

/** A lease names a microshard that its plan does not have (spec planning#shard-cache). */
export class UnknownLeasedMicroShardError extends DataError {
  readonly code = 'ERR_DATA_UNKNOWN_LEASED_MICROSHARD'
}

/** A shard's bytes do not have the hash that the fetch manifest gives (spec planning#shard-cache). */
export class HashMismatchError extends DataError {
  readonly code = 'ERR_DATA_HASH_MISMATCH'
  readonly expected: string
  readonly actual: string

  constructor(message: string, expected: string, actual: string) {
    super(message)
    this.expected = expected
    this.actual = actual
  }
}

/** Shards cannot be fetched from this kind of upstream (spec planning#shard-cache). */
export class UnsupportedAdapterError extends DataError {
  readonly code = 'ERR_DATA_UNSUPPORTED_ADAPTER'
}

// --- what the reference let through (spec defects#shard-cache) -----------------------------------------

/** A shard has more or fewer bytes than the fetch manifest says. */
export class LengthMismatchError extends DataError {
  readonly code = 'ERR_DATA_LENGTH_MISMATCH'
}

/** A shard or a manifest is larger than the limit of its reader. */
export class DataTooLargeError extends DataError {
  readonly code = 'ERR_DATA_TOO_LARGE'
}

/** A locator is not a plain relative path, or a path leads out of the cache or the upstream's root. */
export class UnsafeLocatorError extends DataError {
  readonly code = 'ERR_DATA_UNSAFE_LOCATOR'
}

/** A plan, a fetch manifest or a lease has the same microshard or the same ordinal twice. */
export class DuplicateEntryError extends DataError {
  readonly code = 'ERR_DATA_DUPLICATE_ENTRY'
}

/** A fetch manifest or a lease contradicts the plan: another view, unknown microshards, other ordinals. */
export class PlanMismatchError extends DataError {
  readonly code = 'ERR_DATA_PLAN_MISMATCH'
}

/** The upstream now gives other contents for microshards of a view that this cache already holds. */
export class ManifestChangedError extends DataError {
  readonly code = 'ERR_DATA_MANIFEST_CHANGED'
}
