/** Limits of worker processes, and the reason for each. */

/** Largest frame that is read or sent by default, in bytes; far above what the methods exchange. */
export const MAX_FRAME_BYTES = 64 * 1024 * 1024

/** Longest first frame of a connection that is not known yet, in bytes: it holds a token. */
export const MAX_TOKEN_FRAME_BYTES = 256

/** Longest integer that crosses, in digits: Python reads and prints no longer ones. */
export const MAX_INTEGER_DIGITS = 4300

/** How long our worker may take to connect, in milliseconds: a cold Python, and nothing else. */
export const START_TIMEOUT_MS = 20_000

/** The same for another worker, in milliseconds: it imports torch and the workload before. */
export const FOREIGN_START_TIMEOUT_MS = 120_000

/** How long a worker may take to end when it is closed, in milliseconds. */
export const CLOSE_GRACE_MS = 5000

/** How long an aborted call may take to end before its worker is killed, in milliseconds. */
export const ABORT_GRACE_MS = 5000

/** How long a worker may live on that has closed its connection, in milliseconds. */
export const DISCONNECTED_GRACE_MS = 1000

/** How long the last bytes of a worker that has ended may take to arrive, in milliseconds. */
export const LAST_BYTES_GRACE_MS = 200

/** How much of a worker's stderr is kept for messages, in UTF-16 code units. */
export const MAX_LAST_WORDS = 4000

/** How often an aborted call is interrupted, in milliseconds: it may not have begun, or lose the interrupt. */
export const INTERRUPT_INTERVAL_MS = 20
