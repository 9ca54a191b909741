/** Reads and checks the header of a safetensors file. */

import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'

import { AbortError } from '../errors.js'
import type { OperationOptions } from '../core/abort.js'
import { clip } from '../core/quoting.js'
import { inOnePiece, inSlices, type Steps } from '../core/steps.js'
import { TimeSlices } from '../core/time-slices.js'
import { DTYPE_BITS, LENGTH_BYTES, MAX_HEADER_BYTES, U64_MAX, type Dtype } from './constants.js'
import { SafetensorsHeaderError, SafetensorsIoError, type HeaderFault } from './errors.js'
import { HeaderScanner } from './header-scanner.js'
import { sortedInSteps } from './sorting.js'

/** One tensor, as the header describes it. Its data are little-endian and row-major. */
export interface TensorInfo {
  readonly name: string
  readonly dtype: Dtype
  /** Empty for a scalar. */
  readonly shape: readonly number[]
  /** First byte, counted from {@link SafetensorsHeader.dataStart}. */
  readonly offset: number
  /** Number of bytes. */
  readonly bytes: number
}

/** A header that agrees with itself and with the file's length. */
export interface SafetensorsHeader {
  /** First byte of the data, counted from the start of the file. */
  readonly dataStart: number
  /** The free texts under `__metadata__`; null when there are none. */
  readonly metadata: ReadonlyMap<string, string> | null
  /** In the order of their data; those without data at one place in the order of their names. */
  readonly tensors: readonly TensorInfo[]
}

/** What a reader accepts. */
export interface HeaderLimits {
  /** Longest header, in bytes. Default {@link MAX_HEADER_BYTES}. */
  readonly maxHeaderBytes?: number
}

/** How a reader that pauses works. */
export interface HeaderReadOptions extends HeaderLimits, OperationOptions {}

/**
 * How many bytes, from the start of the file, hold the header and its length.
 *
 * @param start at least the first eight bytes, or the whole file
 * @param totalBytes the file's length
 * @throws SafetensorsHeaderError when there is no length, or it exceeds the limit or the file
 */
export function safetensorsHeaderEnd(
  start: Uint8Array,
  totalBytes: number,
  { maxHeaderBytes = MAX_HEADER_BYTES }: HeaderLimits = {},
): number {
  if (start.byteLength < LENGTH_BYTES || totalBytes < LENGTH_BYTES) {
    const found = Math.min(start.byteLength, totalBytes)
    return refuse('header_too_small', `${found} bytes are too few for the header's length`)
  }
  const view = new DataView(start.buffer, start.byteOffset, LENGTH_BYTES)
  const length = view.getBigUint64(0, true)
  if (length > BigInt(maxHeaderBytes)) {
    refuse(
      'header_too_large',
      `its length, ${length.toString()} bytes, exceeds the limit of ${maxHeaderBytes}`,
    )
  }
  const end = LENGTH_BYTES + Number(length)
  if (end > totalBytes) {
    refuse(
      'header_length',
      `it would end at byte ${end}, but there are only ${totalBytes} bytes in all`,
    )
  }
  return end
}

/**
 * Reads a header from bytes, by the rules of the reference reader (the package `safetensors` 0.8). Stricter than
 * that reader where the format itself is: a name may not appear twice, and the header begins with `{`. Stricter
 * too in that a tensor must be an object and its dtype a text (that reader also takes `["F32",[1],[0,4]]` and
 * `{"F32":null}`), and that a dimension may not exceed 2^53 - 1 (that reader takes it beside a dimension of 0).
 *
 * Time is linear in the header's length; memory is some ten times that length at most.
 *
 * @param bytes the file, or its start with the whole header: see {@link safetensorsHeaderEnd}
 * @param totalBytes the length of the whole file
 * @throws SafetensorsHeaderError
 */
export function parseSafetensorsHeader(
  bytes: Uint8Array,
  totalBytes: number,
  limits?: HeaderLimits,
): SafetensorsHeader {
  return inOnePiece(headerSteps(bytes, totalBytes, limits))
}

/**
 * Like {@link parseSafetensorsHeader}, with pauses in which the event loop turns; the bytes must not change meanwhile.
 *
 * @throws SafetensorsHeaderError; AbortError when the signal fires
 */
export async function parseSafetensorsHeaderAsync(
  bytes: Uint8Array,
  totalBytes: number,
  { signal, ...limits }: HeaderReadOptions = {},
): Promise<SafetensorsHeader> {
  const slices = new TimeSlices('read a safetensors header', { signal })
  return inSlices(headerSteps(bytes, totalBytes, limits), slices)
}

function* headerSteps(
  bytes: Uint8Array,
  totalBytes: number,
  limits: HeaderLimits | undefined,
): Steps<SafetensorsHeader> {
  const dataStart = safetensorsHeaderEnd(bytes, totalBytes, limits)
  if (dataStart > bytes.byteLength) {
    throw new RangeError(`bytes must hold the header's ${dataStart} bytes, not ${bytes.byteLength}`)
  }
  const text = yield* decode(bytes.subarray(LENGTH_BYTES, dataStart))
  if (!text.startsWith('{')) {
    refuse('header_start', `it begins with ${clip(text.slice(0, 20))} instead of "{"`)
  }
  const { metadata, tensors: found } = yield* readHeader(new HeaderScanner(text))
  const tensors = yield* sortedInSteps(found, byPlace)
  yield* checkPlaces(tensors, totalBytes - dataStart)
  return { dataStart, metadata, tensors }
}

/**
 * Reads the header of a file. Only the header's bytes are read. The event loop turns meanwhile, however long it is.
 *
 * @throws SafetensorsHeaderError, AbortError when the signal fires, or SafetensorsIoError when the file cannot be read or is no regular file
 */
export async function readSafetensorsHeader(
  path: string,
  options: HeaderReadOptions = {},
): Promise<SafetensorsHeader> {
  let file: FileHandle | undefined
  try {
    file = await open(path, OPEN_FLAGS)
    const stats = await file.stat()
    if (!stats.isFile()) throw new SafetensorsIoError(path, 'it is not a regular file')
    const start = await readStart(file, Math.min(LENGTH_BYTES, stats.size))
    const end = safetensorsHeaderEnd(start, stats.size, options)
    return await parseSafetensorsHeaderAsync(await readStart(file, end), stats.size, options)
  } catch (error) {
    if (error instanceof SafetensorsIoError || error instanceof AbortError) throw error
    if (error instanceof SafetensorsHeaderError) {
      throw new SafetensorsHeaderError(error.fault, error.problem, path)
    }
    throw new SafetensorsIoError(path, (error as Error).message, { cause: error })
  } finally {
    await file?.close()
  }
}

// Without O_NONBLOCK, opening a pipe would wait for a writer. Windows does not have the flag.
const OPEN_FLAGS = constants.O_RDONLY | (process.platform === 'win32' ? 0 : constants.O_NONBLOCK)

/** The first bytes of a file; fewer when it has been cut meanwhile. */
async function readStart(file: FileHandle, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, filled)
    if (bytesRead === 0) {
      refuse('header_length', `the file was cut to ${filled} bytes while it was read`)
    }
    filled += bytesRead
  }
  return bytes
}

function refuse(fault: HeaderFault, problem: string): never {
  throw new SafetensorsHeaderError(fault, problem)
}

function* decode(bytes: Uint8Array): Steps<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const pieces: string[] = []
  try {
    for (let at = 0; at < bytes.byteLength; at += DECODED_BYTES) {
      pieces.push(decoder.decode(bytes.subarray(at, at + DECODED_BYTES), { stream: true }))
      yield
    }
    pieces.push(decoder.decode())
  } catch {
    return refuse('encoding', 'its bytes are not UTF-8')
  }
  return pieces.join('')
}

/** Bytes that are decoded in one step: some ten microseconds. */
const DECODED_BYTES = 16 * 1024

/** Reads `{"__metadata__": {…}, "<tensor>": {…}, …}`. */
function* readHeader(scanner: HeaderScanner) {
  let metadata: Map<string, string> | null = null
  const tensors: TensorInfo[] = []
  const names = new Names()
  yield* scanner.object((name) => {
    if (!names.add(name)) scanner.refuse('duplicate_name', 'the name appears twice')
    if (name !== '__metadata__') return readTensor(scanner, name, tensors)
    metadata = scanner.null() ? null : new Map<string, string>()
    return metadata === null ? undefined : readMetadata(scanner, metadata)
  })
  scanner.end()
  return { metadata, tensors }
}

function readMetadata(scanner: HeaderScanner, metadata: Map<string, string>): Steps {
  const names = new Names()
  return scanner.object((name) => {
    if (!names.add(name)) scanner.refuse('duplicate_name', 'the name appears twice')
    metadata.set(name, scanner.string())
  })
}

/** Names that were seen, in many small sets: one that holds a million is rebuilt for a tenth of a second when it grows. */
class Names {
  readonly #sets = Array.from({ length: NAME_SETS }, () => new Set<string>())

  /** False when it is there already. */
  add(name: string): boolean {
    let hash = name.length
    for (let at = Math.max(0, name.length - HASHED_CHARACTERS); at < name.length; at++) {
      hash = (hash * 31 + name.charCodeAt(at)) | 0
    }
    const set = this.#sets[hash & (NAME_SETS - 1)] ?? new Set()
    const { size } = set
    return set.add(name).size > size
  }
}

/** A power of two. */
const NAME_SETS = 256

/** Characters at the end of a name that say which set it is in. */
const HASHED_CHARACTERS = 8

/** Reads `{"dtype": …, "shape": […], "data_offsets": [begin, end]}` in any order; other fields are ignored. */
function* readTensor(scanner: HeaderScanner, name: string, tensors: TensorInfo[]): Steps {
  let dtype: Dtype | undefined
  let shape: number[] | undefined
  let places: number[] | undefined
  yield* scanner.object((field) => {
    switch (field) {
      case 'dtype':
        if (dtype !== undefined) scanner.refuse('duplicate_name', 'the dtype appears twice')
        dtype = readDtype(scanner)
        return undefined
      case 'shape':
        if (shape !== undefined) scanner.refuse('duplicate_name', 'the shape appears twice')
        return readNumbers(scanner, 'dimension', (shape = []))
      case 'data_offsets':
        if (places !== undefined) scanner.refuse('duplicate_name', 'the offsets appear twice')
        return readNumbers(scanner, 'offset', (places = []))
      default:
        return scanner.skip()
    }
  })
  if (dtype === undefined || shape === undefined || places === undefined) {
    return scanner.refuse('json', 'the tensor lacks its dtype, shape or data_offsets')
  }
  const [begin, end] = places
  if (begin === undefined || end === undefined || places.length !== 2) {
    return scanner.refuse('json', `there are ${places.length} data_offsets instead of 2`)
  }
  if (end < begin)
    scanner.refuse('offset', `the tensor ends at ${end}, before it begins at ${begin}`)
  const bits = (yield* elementCount(shape, scanner)) * BigInt(DTYPE_BITS[dtype])
  const expected = `${dtype} of shape [${shapeText(shape)}]`
  if (bits > U64_MAX) scanner.refuse('overflow', `${expected} has more than 2^64 - 1 bits`)
  if (bits % 8n !== 0n) scanner.refuse('alignment', `${expected} does not fill its last byte`)
  const bytes = end - begin
  if (BigInt(bytes) * 8n !== bits) {
    scanner.refuse('size', `${expected} has ${bytes} bytes instead of ${(bits / 8n).toString()}`)
  }
  // A copy has no room to grow, which is more than most shapes take.
  const exact = shape.length < ITEMS_PER_STEP ? shape.slice() : shape
  tensors.push({ name, dtype, shape: exact, offset: begin, bytes })
}

function readDtype(scanner: HeaderScanner): Dtype {
  const text = scanner.string()
  if (isDtype(text)) return text
  return scanner.refuse('json', `${clip(text)} is not a known dtype`)
}

function isDtype(text: string): text is Dtype {
  return Object.hasOwn(DTYPE_BITS, text)
}

function readNumbers(
  scanner: HeaderScanner,
  what: 'dimension' | 'offset',
  numbers: number[],
): Steps {
  return scanner.array(() => {
    numbers.push(scanner.unsigned(what))
  })
}

/** The product of the dimensions, which may not exceed 64 bits on the way either. */
function* elementCount(shape: readonly number[], scanner: HeaderScanner): Steps<bigint> {
  let count = 1n
  for (const [index, dimension] of shape.entries()) {
    if (index % ITEMS_PER_STEP === ITEMS_PER_STEP - 1) yield
    if (dimension === 1) continue
    count *= BigInt(dimension)
    if (count > U64_MAX) {
      scanner.refuse('overflow', `the shape [${shapeText(shape)}] has more than 2^64 - 1 elements`)
    }
  }
  return count
}

/** A shape for a message; a hostile one could have millions of dimensions. */
function shapeText(shape: readonly number[]): string {
  const shown = shape.slice(0, MAX_SHOWN_DIMENSIONS).join(', ')
  return shape.length > MAX_SHOWN_DIMENSIONS ? `${shown}, …` : shown
}

const MAX_SHOWN_DIMENSIONS = 8

function byPlace(a: TensorInfo, b: TensorInfo): number {
  return a.offset - b.offset || a.bytes - b.bytes || (a.name < b.name ? -1 : 1)
}

/** Items that are looked at between two yields: some microseconds. */
const ITEMS_PER_STEP = 64

/** The tensors must fill the data from the first byte to the last. */
function* checkPlaces(tensors: readonly TensorInfo[], dataBytes: number): Steps {
  let at = 0
  for (const [index, { name, offset, bytes }] of tensors.entries()) {
    if (index % ITEMS_PER_STEP === ITEMS_PER_STEP - 1) yield
    if (offset !== at) {
      refuse('offset', `tensor ${clip(name)} begins at byte ${offset} of the data instead of ${at}`)
    }
    at += bytes
  }
  if (at !== dataBytes) {
    refuse(
      'data_length',
      `its tensors have ${at} bytes, but the file has ${dataBytes} bytes of data`,
    )
  }
}
