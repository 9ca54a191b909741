/** What `project.call` passes and gets: plain values with tensors in them, taken apart and put together. */

import { ProtocolError, ValueError } from '../errors.js'
import { isPlain, RefusedValue } from '../runtime/conversion-error.js'
import { LentBuffer } from '../runtime/lent-buffer.js'
import { isDtype, Tensor, tensorBytes, tensorOver, type TensorDtype } from '../runtime/tensor.js'
import { MAX_VALUE_DEPTH, PyFloat, type PyInput, type PyValue } from '../runtime/values.js'

/** What a hook of a workload's own may be given. */
export type HookInput =
  | PyInput
  | Tensor
  | Tensor<LentBuffer>
  | readonly HookInput[]
  | ReadonlyMap<string | number | bigint | boolean | null, HookInput>
  | { readonly [key: string]: HookInput }

/** What such a hook may return. */
export type HookOutput =
  PyValue | Tensor | HookOutput[] | Map<PyValue, HookOutput> | { [key: string]: HookOutput }

type Key = string | number | bigint | boolean | null
type Place = Readonly<Record<string, PyInput>>

/** The `memoryview` formats that a typed array has in Python, for a worker, which gets bytes as text. */
const FORMATS: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  [Int8Array, 'b'],
  [Int16Array, 'h'],
  [Uint16Array, 'H'],
  [Int32Array, 'i'],
  [Uint32Array, 'I'],
  [BigInt64Array, 'q'],
  [BigUint64Array, 'Q'],
  [Float32Array, 'f'],
  [Float64Array, 'd'],
])

/** The input with null where `places` says that a tensor belongs, or for a worker, bytes. */
export interface TakenApart {
  readonly value: PyInput
  readonly places: readonly Place[]
}

/**
 * Takes an input apart. `lendsMemory`: whether memory can be lent; otherwise bytes become base64.
 *
 * @throws {@link ValueError} for tensors whose memory is gone, and nesting that is too deep or circular
 */
export function takeApart(input: unknown, lendsMemory: boolean): TakenApart {
  const places: Place[] = []
  try {
    return { value: apart(input, [], new Set(), places, lendsMemory), places }
  } catch (error) {
    if (!(error instanceof RefusedValue)) throw error
    const { path, message } = error.within('input')
    throw new ValueError(`Cannot pass this to a hook: ${message} at ${path}`, path)
  }
}

function apart(
  value: unknown,
  at: readonly Key[],
  around: Set<object>,
  places: Place[],
  lends: boolean,
): PyInput {
  if (value === null || typeof value !== 'object') return value as PyInput
  if (value instanceof Tensor) {
    places.push(tensorPlace(value as Tensor<Tensor['data'] | LentBuffer>, at, lends))
    return null
  }
  if (!lends && ArrayBuffer.isView(value)) {
    const format = FORMATS.get(value.constructor) ?? 'bytes'
    places.push({ at: [...at], format, data: base64(value) })
    return null
  }
  const isList = Array.isArray(value)
  if (!isList && !(value instanceof Map) && (value instanceof PyFloat || !isPlain(value))) {
    return value as PyInput
  }
  if (at.length >= MAX_VALUE_DEPTH) {
    throw new RefusedValue(`nested deeper than ${MAX_VALUE_DEPTH} levels`)
  }
  if (around.has(value)) throw new RefusedValue('an object that contains itself cannot be passed')
  around.add(value)
  const inner = (key: Key, item: unknown): PyInput => {
    try {
      return apart(item, [...at, key], around, places, lends)
    } catch (error) {
      const step = typeof key === 'string' || typeof key === 'number' ? key : undefined
      throw error instanceof RefusedValue ? error.within(step) : error
    }
  }
  let copy: PyInput
  if (isList) copy = Array.from(value, (item, index) => inner(index, item))
  else if (value instanceof Map) {
    copy = new Map([...(value as Map<Key, unknown>)].map(([key, item]) => [key, inner(key, item)]))
  } else copy = new Map(Object.entries(value).flatMap(([key, item]) => present(key, item, inner)))
  around.delete(value)
  return copy
}

function present(
  key: string,
  item: unknown,
  inner: (key: string, item: unknown) => PyInput,
): (readonly [string, PyInput])[] {
  return item === undefined ? [] : [[key, inner(key, item)]]
}

function tensorPlace(
  { dtype, shape, data }: Tensor<Tensor['data'] | LentBuffer>,
  at: readonly Key[],
  lends: boolean,
): Place {
  const place = { at: [...at], dtype, shape: [...shape] }
  if (data.byteLength !== tensorBytes(dtype, shape)) {
    throw new RefusedValue('the memory of this tensor was transferred away or resized')
  }
  if (data.byteLength === 0) return { ...place, data: null }
  if (!lends) return { ...place, data: base64(data instanceof LentBuffer ? data.bytes() : data) }
  if (data instanceof LentBuffer) return { ...place, data }
  const copy = LentBuffer.allocate(data.byteLength)
  copy.bytes().set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  return { ...place, data: copy }
}

function base64({ buffer, byteOffset, byteLength }: ArrayBufferView): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
}

/** The memory that a result's tensors are to be written to, in their order. */
export function memoriesFor(places: readonly OutputPlace[]): LentBuffer[] {
  return places.flatMap(({ dtype, shape, data }) =>
    dtype === undefined || data !== undefined
      ? []
      : [LentBuffer.allocate(tensorBytes(dtype, shape))],
  )
}

/** Where a tensor or bytes belong in a result. */
export interface OutputPlace {
  readonly at: readonly PyValue[]
  readonly dtype: TensorDtype | undefined
  readonly shape: readonly number[]
  /** Undefined while the tensor waits to be filled. */
  readonly data: Uint8Array | undefined
}

/** Reads what a host or a worker says of the places. Throws {@link ProtocolError}. */
export function readPlaces(places: PyValue | undefined): OutputPlace[] {
  if (places === undefined) return []
  if (!Array.isArray(places)) throw new ProtocolError('the places of a result are not a list')
  return places.map((place) => {
    const { at, dtype, shape = [], data } = place as Record<string, PyValue>
    const isKnown = dtype === undefined || isDtype(dtype)
    if (!isKnown || !Array.isArray(at) || !Array.isArray(shape)) {
      throw new ProtocolError('a place of a result is malformed')
    }
    return {
      at,
      dtype,
      shape: shape.map(Number),
      data: typeof data === 'string' ? bytesOf(data) : (data as Uint8Array | undefined),
    }
  })
}

/** Over an ArrayBuffer of its own, not over Node's pool. */
function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'))
}

/** Puts a result together: the filled memories in the order of {@link memoriesFor}. */
export function putTogether(
  value: PyValue,
  places: readonly OutputPlace[],
  memories: readonly LentBuffer[],
): HookOutput {
  let whole: HookOutput = value
  const filled = memories.values()
  for (const place of places) {
    const item = itemOf(place, filled)
    if (place.at.length === 0) whole = item
    else put(whole, place.at, item)
  }
  return whole
}

function itemOf({ dtype, shape, data }: OutputPlace, filled: Iterator<LentBuffer>): HookOutput {
  if (dtype === undefined) return data ?? null
  if (data !== undefined) return tensorOver(dtype, shape, data.buffer as ArrayBuffer)
  const next = filled.next()
  if (next.done === true) throw new ProtocolError('a tensor of the result was not filled')
  return tensorOver(dtype, shape, next.value.take())
}

function put(whole: HookOutput, at: readonly PyValue[], item: HookOutput): void {
  let around: unknown = whole
  for (const key of at.slice(0, -1)) around = step(around, key)
  const last = at.at(-1) as PyValue
  if (around instanceof Map) around.set(last, item)
  else if (Array.isArray(around)) around[Number(last)] = item
  else {
    // As an own property, `__proto__` too.
    Object.defineProperty(around, keyText(last), {
      value: item,
      enumerable: true,
      writable: true,
      configurable: true,
    })
  }
}

function step(around: unknown, key: PyValue): unknown {
  if (around instanceof Map) return around.get(key)
  if (Array.isArray(around)) return around[Number(key)]
  const property = Object.getOwnPropertyDescriptor(around, keyText(key))
  return property?.value as unknown
}

/** A key of a plain object. */
function keyText(key: PyValue): string {
  if (typeof key !== 'string') throw new ProtocolError('a place of a result is malformed')
  return key
}
