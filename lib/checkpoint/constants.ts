/** Limits of the artifact store, and the reason for each. */

/** Chunk size of the reference when none is given, in bytes (spec section 9.2). */
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

/** Bytes that are hashed in one go: some 0.3 ms for two hashes, then the event loop runs. */
export const HASH_SLICE_BYTES = 128 * 1024

/** Bytes that are read from a file in one go. */
export const READ_BUFFER_BYTES = 256 * 1024

/** Chunks that are written at one time; they wait for the disk together. */
export const MAX_WRITES_IN_FLIGHT = 4

/** Memory for the chunks of one artifact that are being filled and written; at least two have room. */
export const CHUNK_BUFFER_BYTES = 16 * 1024 * 1024

/**
 * Age before which garbage collection spares a chunk that no manifest names, in milliseconds: ten minutes. A
 * manifest is written after its chunks, so that a young chunk may belong to one that is still to come.
 */
export const CHUNK_GRACE_MS = 10 * 60 * 1000
