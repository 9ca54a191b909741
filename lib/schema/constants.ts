/** Limits of the readers, and the reason for each. */

/** Largest JSON text that is read by default, in bytes: an artifact manifest of some 200 000 chunks. */
export const MAX_JSON_BYTES = 64 * 1024 * 1024

/** Values that are parsed between two turns of the event loop: 0.3 ms, or some while the parser is not yet compiled. */
export const VALUES_PER_SLICE = 1024

/** Least length of a piece of JSON but the last, in UTF-16 code units: about a millisecond of writing. */
export const JSON_PIECE_LENGTH = 64 * 1024

/** Deepest nesting of arrays and objects that is read or written; the reference's reader stops there too. */
export const MAX_JSON_DEPTH = 127

/** Most problems that one error lists; hostile input could have millions. */
export const MAX_REPORTED_ISSUES = 20

/** Longest piece of a foreign text that a message quotes, in UTF-16 code units. */
export const MAX_QUOTED_LENGTH = 80

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
