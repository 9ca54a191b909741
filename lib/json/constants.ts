/** Limits of the JSON reader and writer, and the reason for each. */

/** Largest JSON text that is read by default, in bytes: an artifact manifest of some 200 000 chunks. */
export const MAX_JSON_BYTES = 64 * 1024 * 1024

/** Values that are parsed between two turns of the event loop: 0.3 ms, or some while the parser is not yet compiled. */
export const VALUES_PER_SLICE = 1024

/** Least length of a piece of JSON but the last, in UTF-16 code units: about a millisecond of writing. */
export const JSON_PIECE_LENGTH = 64 * 1024

/** Deepest nesting of arrays and objects that is read or written; the reference's reader stops there too. */
export const MAX_JSON_DEPTH = 127
