/**
 * A codec: one declaration from which a record is read and written, as JSON and as the CBOR of peers, and hashed.
 *
 * Reading calls one function per value, which reports every problem with its path; what peers send is read straight
 * from its bytes, up to the first problem. Writing goes through the wire
 * model, so that a field's declaration, not the JavaScript value, says whether `1` is the integer `1` or the
 * float `1.0`. Primitives, containers and variants that build codecs are in the files beside this one.
 */

import { ConfigError, WireFormatError, type ConfigIssue } from '../errors.js'
import type { OperationOptions } from '../core/abort.js'
import { inSlices, type Steps } from '../core/steps.js'
import { TimeSlices } from '../core/time-slices.js'
import { encodeCbor } from './cbor.js'
import { MAX_WIRE_BYTES } from './constants.js'
import {
  configIssue,
  INVALID,
  Issues,
  type Issue,
  type Read,
  type UnknownFields,
} from './issues.js'
import { encodeWireCbor } from './wire-cbor.js'
import { WireReader, WireSyntaxError } from './wire-reader.js'
import { parseJson, parseJsonAsync, type JsonAsyncOptions, type JsonLimits } from '../json/read.js'
import { writeJson, writeJsonPieces, type JsonStyle } from '../json/write.js'
import type { Wire } from '../json/wire.js'

/** Reads a value where the reader is, or reports what is wrong with it and returns `INVALID`. */
export type Decode<T> = (reader: WireReader, issues: Issues) => T | typeof INVALID

/** Reads a value as {@link Read} does, in steps. */
export type ReadSteps<T> = (input: unknown, issues: Issues) => Steps<T | typeof INVALID>

/** The parts that make a codec. */
export interface CodecParts<T> {
  /** What the codec is for, as messages call it. */
  readonly name: string
  /** Reads parsed JSON: integers are `bigint`, floats `number`. */
  readonly read: Read<T>
  /** Reads what a peer sent. Without this, any value is built and given to {@link read}. */
  readonly decode?: Decode<T>
  /** Turns a value into the wire model, or throws through `refuse`. */
  encode(value: T): Wire
  /** {@link read} in steps, for what may be long. */
  readonly readSteps?: ReadSteps<T>
  /** {@link encode} in steps, for what may be long. */
  encodeSteps?(value: T): Steps<Wire>
  /** The value of a field that is absent. Without this, the field is required. */
  missing?(): T
  /** Whether a record leaves the field out when it is written. */
  skip?(value: T): boolean
}

/** How {@link Codec.fromJson} reads. */
export interface JsonReadOptions extends JsonLimits {
  /** Whether fields that a record does not have are a problem. Default `ignore` (spec formats#json). */
  readonly unknownFields?: UnknownFields
}

/** How {@link Codec.fromWireCbor} reads. */
export interface WireReadOptions {
  /** Largest message, in bytes. Default `MAX_WIRE_BYTES`. */
  readonly maxBytes?: number
  /** Told of each record that was left out of a list because it does not fit. */
  readonly onDropped?: (issue: ConfigIssue) => void
}

/** The TypeScript type that a codec reads and writes. */
export type Infer<C> = C extends Codec<infer T> ? T : never

/** Reads and writes values of type `T`, in JSON and in CBOR (spec formats and formats#canonical-cbor). */
export class Codec<T> {
  readonly name: string
  /** Like {@link fromValue}, for codecs that hold this one: problems go to their issues. */
  readonly read: Read<T>
  /** Like {@link fromWireCbor}, for codecs that hold this one. */
  readonly decode: Decode<T>
  readonly #parts: CodecParts<T>

  constructor(parts: CodecParts<T>) {
    this.name = parts.name
    this.read = parts.read
    this.decode = parts.decode ?? ((reader, issues) => parts.read(reader.value(), issues))
    this.#parts = parts
  }

  /**
   * Reads JSON text, or its UTF-8 bytes. Unknown fields are ignored unless `unknownFields` says otherwise.
   *
   * @throws ConfigError listing every problem with its path
   */
  fromJson(source: string | Uint8Array, { unknownFields, ...limits }: JsonReadOptions = {}): T {
    return this.fromValue(parseJson(source, this.name, limits), unknownFields)
  }

  /**
   * Like {@link fromJson}, for texts of megabytes: the event loop turns while the text is parsed and the fields are
   * checked. What remains in one piece is to decode the bytes.
   *
   * @throws ConfigError listing every problem with its path; AbortError when the signal fires
   */
  async fromJsonAsync(source: string | Uint8Array, options?: JsonAsyncOptions): Promise<T> {
    return this.fromValueAsync(await parseJsonAsync(source, this.name, options), options)
  }

  /**
   * Like {@link fromValue}, with pauses in which the event loop turns.
   *
   * @throws ConfigError listing every problem with its path; AbortError when the signal fires
   */
  async fromValueAsync(value: unknown, options: OperationOptions = {}): Promise<T> {
    const issues = new Issues()
    const slices = new TimeSlices(`read ${this.name}`, options)
    const result = await inSlices(this.readSteps(value, issues), slices)
    if (result !== INVALID) return result
    throw new ConfigError(`Cannot read ${this.name}`, issues.list().map(configIssue))
  }

  /**
   * Reads a value that is already parsed, with integers as `bigint` and floats as `number`.
   *
   * @throws ConfigError listing every problem with its path
   */
  fromValue(value: unknown, unknownFields?: UnknownFields): T {
    const issues = new Issues(unknownFields)
    const result = this.read(value, issues)
    if (result !== INVALID) return result
    throw new ConfigError(`Cannot read ${this.name}`, issues.list().map(configIssue))
  }

  /**
   * Writes JSON as the reference does: compact, or pretty with a two-space indent; no final newline.
   *
   * @throws ConfigError when the value does not fit, such as a fraction in an integer field
   */
  toJson(value: T, style?: JsonStyle): string {
    return writeJson(this.toWire(value), style)
  }

  /**
   * The UTF-8 of {@link toJson} in pieces, made as they are asked for: for records of megabytes, which are then
   * written to a stream or a file without keeping the event loop waiting. The value is checked at once.
   *
   * @throws ConfigError when the value does not fit
   */
  toJsonPieces(value: T, style?: JsonStyle): Generator<Uint8Array> {
    return writeJsonPieces(this.toWire(value), style)
  }

  /**
   * Like {@link toJsonPieces}, for values that take long to be checked too: the event loop turns meanwhile.
   *
   * @throws ConfigError when the value does not fit; AbortError when the signal fires
   */
  async toJsonPiecesAsync(
    value: T,
    { pretty = false, ...options }: JsonStyle & OperationOptions = {},
  ): Promise<Generator<Uint8Array>> {
    return writeJsonPieces(await this.toWireAsync(value, options), { pretty })
  }

  /**
   * Writes the one CBOR form that content ids are made of (spec formats#canonical-cbor).
   *
   * @throws ConfigError when the value does not fit
   */
  toCbor(value: T): Uint8Array {
    return encodeCbor(this.toWire(value))
  }

  /**
   * Reads a message of a peer, which is one value and nothing after it (spec network#wire-cbor). Unknown fields are
   * ignored; a field that is there twice is refused.
   *
   * @throws WireFormatError with the first problem and its place
   */
  fromWireCbor(bytes: Uint8Array, options: WireReadOptions = {}): T {
    const { maxBytes = MAX_WIRE_BYTES, onDropped } = options
    const reader = new WireReader(bytes)
    const issues = new Issues()
    try {
      if (bytes.length > maxBytes) {
        throw new WireSyntaxError(`${bytes.length} bytes exceed the limit of ${maxBytes}`)
      }
      const value = this.decode(reader, issues)
      if (value !== INVALID) {
        reader.end()
        for (const issue of issues.dropped) onDropped?.(configIssue(issue))
        return value
      }
    } catch (error) {
      if (!(error instanceof WireSyntaxError)) throw error
      throw this.#wireError({ path: issues.path(), message: error.message }, reader, error)
    }
    throw this.#wireError(issues.list()[0] ?? { path: [], message: 'it does not fit' }, reader)
  }

  /**
   * Writes a message as peers send it: like {@link toCbor}, but with floats in their full width.
   *
   * @throws ConfigError when the value does not fit
   */
  toWireCbor(value: T): Uint8Array {
    return encodeWireCbor(this.toWire(value))
  }

  #wireError(issue: Issue, { position }: WireReader, cause?: Error): WireFormatError {
    return new WireFormatError(`Cannot read ${this.name}`, configIssue(issue), position, { cause })
  }

  /**
   * The value in the wire model.
   *
   * @throws ConfigError when the value does not fit
   */
  toWire(value: T): Wire {
    try {
      return this.encode(value)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      throw new ConfigError(`Cannot write ${this.name}`, [configIssue(error)])
    }
  }

  /**
   * Like {@link toWire}, with pauses in which the event loop turns.
   *
   * @throws ConfigError when the value does not fit; AbortError when the signal fires
   */
  async toWireAsync(value: T, options: OperationOptions = {}): Promise<Wire> {
    const slices = new TimeSlices(`write ${this.name}`, options)
    try {
      return await inSlices(this.encodeSteps(value), slices)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      throw new ConfigError(`Cannot write ${this.name}`, [configIssue(error)])
    }
  }

  /** Like {@link read}, in steps where the value may be long. */
  *readSteps(input: unknown, issues: Issues): Steps<T | typeof INVALID> {
    const { readSteps } = this.#parts
    return readSteps === undefined ? this.read(input, issues) : yield* readSteps(input, issues)
  }

  /** Like {@link encode}, in steps where the value may be long. */
  *encodeSteps(value: T): Steps<Wire> {
    const steps = this.#parts.encodeSteps?.(value)
    return steps === undefined ? this.encode(value) : yield* steps
  }

  /** Like {@link toWire}, for codecs that hold this one: problems stay bare, and gather their path. */
  encode(value: T): Wire {
    return this.#parts.encode(value)
  }

  /** Whether the field may be absent; then {@link missing} is its value. */
  get optional(): boolean {
    return this.#parts.missing !== undefined
  }

  /** The value of the absent field; undefined when the field is required. */
  missing(): T | undefined {
    return this.#parts.missing?.()
  }

  /** Whether a record leaves the field out when it is written. */
  skip(value: T): boolean {
    return this.#parts.skip?.(value) ?? false
  }

  /** {@link readField} in steps. */
  *readFieldSteps(input: unknown, issues: Issues): Steps<T | typeof INVALID> {
    if (input === undefined && this.#parts.missing) return this.#parts.missing()
    return yield* this.readSteps(input, issues)
  }

  /** Reads a record's field: as {@link read} does, with the default in place when it is absent. */
  readonly readField: Read<T> = (input, issues) =>
    input === undefined && this.#parts.missing ? this.#parts.missing() : this.read(input, issues)
}

/** Why a value cannot be written, and where inside it. */
class Refusal extends Error {
  readonly path: PropertyKey[] = []
}

/** Stops an `encode`: the value does not fit. */
export function refuse(message: string): never {
  throw new Refusal(message)
}

/** Runs the `encodeSteps` of a part, as {@link encodePart} does. */
export function* encodePartSteps<T>(codec: Codec<T>, value: T, key: PropertyKey): Steps<Wire> {
  try {
    return yield* codec.encodeSteps(value)
  } catch (error) {
    if (error instanceof Refusal) error.path.unshift(key)
    throw error
  }
}

/** Runs the `encode` of a part, so that a refusal names the part. */
export function encodePart<T>(codec: Codec<T>, value: T, key: PropertyKey): Wire {
  try {
    return codec.encode(value)
  } catch (error) {
    if (error instanceof Refusal) error.path.unshift(key)
    throw error
  }
}
