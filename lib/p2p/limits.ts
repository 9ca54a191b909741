/** What bounds the network, each number with its reason. What the protocol of burn_p2p fixes is marked so. */

/** Largest gossip message in bytes. Fixed: 65,536 for a frame of gossipsub, of which signature and envelope take some. */
export const MAX_GOSSIP_BYTES = 64_512

/** Largest request in bytes. Fixed: 1 MiB, read to its end before it is answered. */
export const MAX_REQUEST_BYTES = 1_048_576

/** Largest response in bytes. Fixed: 10 MiB; a peer of the reference cuts the rest off without a word. */
export const MAX_RESPONSE_BYTES = 10_485_760

/** Requests of one connection that are answered at one time. Fixed: 100. */
export const MAX_REQUESTS_PER_CONNECTION = 100

/**
 * How long a request may take, in milliseconds. Fixed: 10 s. The network thread of the reference stands still while it fetches,
 * so that a shorter time would take slow peers for dead ones.
 */
export const REQUEST_TIMEOUT_MS = 10_000

/** Connections of one node. Beyond, js-libp2p drops the least useful ones. */
export const MAX_CONNECTIONS = 128

/** How long starting a connection may take, in milliseconds. */
export const DIAL_TIMEOUT_MS = 10_000

/** Bytes of a stream that wait for their reader: a peer that sends more than it was given credit for is cut off. */
export const MAX_STREAM_BUFFER_BYTES = 4_194_304

/**
 * How often a connected peer is asked for all that it knows, in milliseconds: the longest that a lost message stays unknown.
 * An answer that is the same as the last one costs a hash.
 */
export const SNAPSHOT_INTERVAL_MS = 5000

/** Chunks that are asked of one peer at one time: enough for the round-trip times of the internet at 256 KiB a chunk. */
export const CHUNK_REQUESTS_PER_PEER = 8

/** How often missing peers are looked for, in milliseconds. */
export const REDIAL_TICK_MS = 250

/** First pause before a peer is dialled again, in milliseconds; each failure doubles it. */
export const REDIAL_FIRST_MS = 500

/** Longest pause before a peer is dialled again, in milliseconds. */
export const REDIAL_LAST_MS = 30_000

/** Connections up to which a peer dials those that others told it of. */
export const INTRODUCTIONS_UP_TO = 16

/** Peers that others told of that are dialled at one time: what they announce as addresses may be anything. */
export const INTRODUCTIONS_AT_ONCE = 4

/** How often peers that others told of are looked for, in milliseconds. */
export const INTRODUCTION_TICK_MS = 500

/** Longest pause before a peer that others told of is dialled again, in milliseconds: it may be gone for good. */
export const INTRODUCTION_LAST_MS = 300_000
