/** Reads and checks the header of a safetensors file. */

import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'

import { clip } from '../core/quoting.js'
import { DTYPE_BITS, LENGTH_BYTES, MAX_HEADER_BYTES, U64_MAX, type Dtype } from './constants.js'
import { SafetensorsHeaderError, SafetensorsIoError, type HeaderFault } from './errors.js'
import { HeaderScanner } from './header-scanner.js'

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
  const dataStart = safetensorsHeaderEnd(bytes, totalBytes, limits)
  if (dataStart > bytes.byteLength) {
    throw new RangeError(`bytes must hold the header's ${dataStart} bytes, not ${bytes.byteLength}`)
  }
  const text = decode(bytes.subarray(LENGTH_BYTES, dataStart))
  if (!text.startsWith('{')) {
    refuse('header_start', `it begins with ${clip(text.slice(0, 20))} instead of "{"`)
  }
  const { metadata, tensors } = readHeader(new HeaderScanner(text))
  tensors.sort(byPlace)
  checkPlaces(tensors, totalBytes - dataStart)
  return { dataStart, metadata, tensors }
}

/**
 * Reads the header of a file. Only the header's bytes are read.
 *
 * @throws SafetensorsHeaderError, or SafetensorsIoError when the file cannot be read or is no regular file
 */
export async function readSafetensorsHeader(
  path: string,
  limits?: HeaderLimits,
): Promise<SafetensorsHeader> {
  let file: FileHandle | undefined
  try {
    file = await open(path, OPEN_FLAGS)
    const stats = await file.stat()
    if (!stats.isFile()) throw new SafetensorsIoError(path, 'it is not a regular file')
    const start = await readStart(file, Math.min(LENGTH_BYTES, stats.size))
    const end = safetensorsHeaderEnd(start, stats.size, limits)
    return parseSafetensorsHeader(await readStart(file, end), stats.size, limits)
  } catch (error) {
    if (error instanceof SafetensorsIoError) throw error
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

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return refuse('encoding', 'its bytes are not UTF-8')
  }
}

/** Reads `{"__metadata__": {…}, "<tensor>": {…}, …}`. */
function readHeader(scanner: HeaderScanner) {
  let metadata: Map<string, string> | null = null
  const tensors: TensorInfo[] = []
  const names = new Set<string>()
  scanner.object((name) => {
    if (names.has(name)) scanner.refuse('duplicate_name', 'the name appears twice')
    names.add(name)
    if (name === '__metadata__') metadata = readMetadata(scanner)
    else tensors.push(readTensor(scanner, name))
  })
  scanner.end()
  return { metadata, tensors }
}

function readMetadata(scanner: HeaderScanner): Map<string, string> | null {
  if (scanner.null()) return null
  const metadata = new Map<string, string>()
  scanner.object((name) => {
    if (metadata.has(name)) scanner.refuse('duplicate_name', 'the name appears twice')
    metadata.set(name, scanner.string())
  })
  return metadata
}

/** Reads `{"dtype": …, "shape": […], "data_offsets": [begin, end]}` in any order; other fields are ignored. */
function readTensor(scanner: HeaderScanner, name: string): TensorInfo {
  let dtype: Dtype | undefined
  let shape: number[] | undefined
  let places: number[] | undefined
  scanner.object((field) => {
    switch (field) {
      case 'dtype':
        if (dtype !== undefined) scanner.refuse('duplicate_name', 'the dtype appears twice')
        dtype = readDtype(scanner)
        break
      case 'shape':
        if (shape !== undefined) scanner.refuse('duplicate_name', 'the shape appears twice')
        shape = readNumbers(scanner, 'dimension')
        break
      case 'data_offsets':
        if (places !== undefined) scanner.refuse('duplicate_name', 'the offsets appear twice')
        places = readNumbers(scanner, 'offset')
        break
      default:
        scanner.skip()
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
  const bits = elementCount(shape, scanner) * BigInt(DTYPE_BITS[dtype])
  const expected = `${dtype} of shape [${shapeText(shape)}]`
  if (bits > U64_MAX) scanner.refuse('overflow', `${expected} has more than 2^64 - 1 bits`)
  if (bits % 8n !== 0n) scanner.refuse('alignment', `${expected} does not fill its last byte`)
  const bytes = end - begin
  if (BigInt(bytes) * 8n !== bits) {
    scanner.refuse('size', `${expected} has ${bytes} bytes instead of ${(bits / 8n).toString()}`)
  }
  return { name, dtype, shape, offset: begin, bytes }
}

function readDtype(scanner: HeaderScanner): Dtype {
  const text = scanner.string()
  if (isDtype(text)) return text
  return scanner.refuse('json', `${clip(text)} is not a known dtype`)
}

function isDtype(text: string): text is Dtype {
  return Object.hasOwn(DTYPE_BITS, text)
}

function readNumbers(scanner: HeaderScanner, what: 'dimension' | 'offset'): number[] {
  const numbers: number[] = []
  scanner.array(() => numbers.push(scanner.unsigned(what)))
  return numbers
}

/** The product of the dimensions, which may not exceed 64 bits on the way either. */
function elementCount(shape: readonly number[], scanner: HeaderScanner): bigint {
  let count = 1n
  for (const dimension of shape) {
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

/** The tensors must fill the data from the first byte to the last. */
function checkPlaces(tensors: readonly TensorInfo[], dataBytes: number): void {
  let at = 0
  for (const { name, offset, bytes } of tensors) {
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
