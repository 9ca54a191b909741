/** Limits of the artifact store, and the reason for each. */

/** Chunk size of the reference when none is given, in bytes (spec store#descriptors). */
export const DEFAULT_CHUNK_SIZE_BYTES = 8 * 1024 * 1024

/** Largest chunk that is stored or loaded, in bytes: a chunk is held in memory whole to be verified. */
export const MAX_CHUNK_BYTES = 64 * 1024 * 1024

/**
 * Most chunks of one artifact. Its manifest then has some 35 MB, which the JSON reader still takes, and chunks
 * of 256 KiB make 32 GiB.
 */
export const MAX_CHUNK_COUNT = 131_072

/** Longest id that is used for a file, in bytes of UTF-8. Ids from a peer could have any length. */
export const MAX_ID_BYTES = 4096

/**
 * Longest artifact, or chunk, that is hashed, stored and loaded on the thread that asks for it, in bytes; longer
 * ones go to a separate thread. Hashing so much takes half a millisecond, starting that thread forty.
 */
export const IN_PLACE_MAX_BYTES = 1024 * 1024

/** Chunk size below which a stream stays on the thread that reads it: a hop would cost more than the hash. */
export const HOP_MIN_BYTES = 64 * 1024

/** Bytes that are hashed in one go: some 0.1 ms, then the event loop runs. */
export const HASH_SLICE_BYTES = 128 * 1024

/** Shortest chunk that is hashed on Node's thread pool, in bytes: handing it over takes some 0.05 ms. */
export const POOL_HASH_MIN_BYTES = 128 * 1024

/** Longest chunk that is hashed on Node's thread pool, in bytes: the pool works on a copy. */
export const POOL_HASH_MAX_BYTES = 8 * 1024 * 1024

/**
 * Chunks of all artifacts that a thread has hashed on Node's thread pool at one time. One keeps up with the root
 * hash, which has the same bytes to go through; more only take memory, and threads of the pool from files.
 */
export const MAX_POOL_HASHES = 1

/** Bytes of a stream that are copied in one go, some 0.3 ms, then the event loop runs. */
export const COPY_SLICE_BYTES = 1024 * 1024

/**
 * Most bytes that are read into an artifact's memory in one go. The system may keep a core for the length of a read,
 * from the event loop as well: some 6 ms for 8 MiB of fresh memory.
 */
export const MAX_READ_BYTES = 1024 * 1024

/** Bytes that are read from a file in one go to be compared. */
export const READ_BUFFER_BYTES = 256 * 1024

/** Chunks that are written at one time; they wait for the disk together. */
export const MAX_CHUNKS_IN_FLIGHT = 4

/**
 * Chunks of one artifact that are looked for, or read into its memory, at one time. Each waits several times for the thread
 * that hashes another.
 */
export const MAX_READS_IN_FLIGHT = 8

/** Memory for the chunks of one artifact that are being filled and written; at least two have room. */
export const CHUNK_BUFFER_BYTES = 16 * 1024 * 1024

/** How often a writer renews its claim, in milliseconds. */
export const CLAIM_RENEWAL_MS = 20 * 1000

/**
 * Age at which a claim that was not renewed is dead, in milliseconds, whatever its process: two minutes. The clocks of
 * machines that share a store must agree better than that.
 */
export const CLAIM_TIMEOUT_MS = 2 * 60 * 1000

/**
 * Age before which garbage collection spares a temporary file whose process is not known to have ended, in milliseconds:
 * ten minutes.
 */
export const STORE_TEMP_GRACE_MS = 10 * 60 * 1000

/** Chunks whose names garbage collection takes away at one time: less than 2 ms, which readers wait for. */
export const COLLECTED_CHUNKS_AT_ONCE = 64

/** Pause before a source that failed is asked again, in milliseconds; each further failure doubles it. */
export const FETCH_FIRST_PAUSE_MS = 50

/** Longest pause before a source that failed is asked again, in milliseconds. */
export const FETCH_LONGEST_PAUSE_MS = 5000

/** Failures in a row after which a source is given up: some three seconds of pauses. */
export const MAX_SOURCE_FAILURES = 6
