/** Limits of the readers, and the reason for each. */

/** Most problems that one error lists; hostile input could have millions. */
export const MAX_REPORTED_ISSUES = 20

/** Longest id that is used as a file name as it is, in bytes (spec formats#file-names). */
export const MAX_PATH_COMPONENT_BYTES = 256

/** Largest message of a peer that is read by default, in bytes: the reference cuts longer responses off. */
export const MAX_WIRE_BYTES = 10 * 1024 * 1024

/** Deepest nesting of arrays and maps in a message of a peer; the reference's reader stops there too. */
export const MAX_WIRE_DEPTH = 256

/**
 * Most values of one message, where a list of bytes or of 32-bit floats counts as one. A snapshot with every list at its
 * cap has some 100 000; ten times more would still take less than a second and 100 MB.
 */
export const MAX_WIRE_VALUES = 500_000

/** Most records that are left out of one snapshot before it is refused as a whole: each costs an error. */
export const MAX_DROPPED_RECORDS = 1000
