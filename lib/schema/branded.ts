/**
 * Flavoured types: a text that TypeScript does not confuse with a text of another flavour, yet that any plain
 * string may be assigned to. Ids need no constructor that way.
 */

/** `T` with the flavour `Name`. The property `$type` exists for the compiler alone. */
export type Flavoured<T, Name extends string> = T & { readonly $type?: Name }
