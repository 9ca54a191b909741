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

/** Requests that a peer may make in a second, and at once after a silence: more than any transfer of 1 KiB pieces needs. */
export const REQUESTS_PER_SECOND = 2000

/** Bytes of requests that are being read of one peer at one time: one of the largest, or many of the usual ones. */
export const MAX_REQUEST_BYTES_PER_PEER = 1_048_576

/** Requests of one peer that are answered at one time; further ones wait. Each may hold a response of 10 MiB. */
export const MAX_ANSWERS_PER_PEER = 8

/** Messages of gossip that a peer may pass on in a second, and four times as many at once after a silence. */
export const GOSSIP_PER_SECOND = 500

/** How far ahead of ours the clock of a record may be, in milliseconds. */
export const MAX_CLOCK_AHEAD_MS = 300_000

/** Records of one kind that a snapshot may hold: twice what peers keep of the kinds of which they keep most. */
export const MAX_SNAPSHOT_RECORDS = 512

/** Faults in a minute that may be mistakes; with the last of them a peer is banned. */
export const FAULTS_PER_MINUTE = 10

/** How long a peer is kept away the first time, in milliseconds; each ban doubles it. */
export const BAN_FIRST_MS = 600_000

/** Longest ban in milliseconds. */
export const BAN_LONGEST_MS = 86_400_000

/** How long a peer without a valid certificate is kept away, in milliseconds; it may have a new one by then. */
export const REFUSAL_MS = 30_000

/** Peers whose conduct is remembered. */
export const MAX_CONDUCT_RECORDS = 1024

/** How long a request waits for the admission of its peer, in milliseconds. */
export const ADMISSION_PATIENCE_MS = 5000

/** How long a connected peer may remain without being admitted, in milliseconds. */
export const MAX_UNADMITTED_MS = 30_000

/** Bytes of the nonce that a peer signs to be admitted. */
export const NONCE_BYTES = 32

/** Largest proof of a peer in bytes: a certificate takes 2 KiB. */
export const MAX_PROOF_BYTES = 65_536

/** Certificates of others that are remembered as verified. */
export const MAX_KNOWN_CERTIFICATES = 1024

/** Largest invite in bytes: one takes 3 KiB. */
export const MAX_INVITE_BYTES = 65_536
