/** What bounds the memory of what a peer knows. What the protocol of burn_p2p fixes is marked so. */

/** Addresses that are kept of a peer: anyone may announce more. */
export const MAX_ADDRESSES_PER_PEER = 16

/** Windows of an overlay of which proposals and certificates are kept, the latest ones. Fixed: 8. */
export const MAX_KEPT_WINDOWS = 8

/** Chunks that are read and sent to all peers at one time; the others wait. Each is in memory twice, as bytes and as CBOR. */
export const MAX_CHUNKS_SERVED_AT_ONCE = 16

/** Heads that an archive keeps when it is not told, the last promoted ones. */
export const ARCHIVED_HEADS = 8
