/**
 * The native arithmetic of DiLoCo, as native/numerics/numerics.cc exports it: an addon without Python.
 *
 * All functions work on libuv's threads. A {@link Fault} is what they found; lengths are checked before.
 */
import { constants } from 'node:os'
import process from 'node:process'
import { AddonError } from '../errors.js'
import { addonRepair, findAddon, libraryBeside } from '../runtime/embedded/addon-place.js'
import type { PayloadRefusal } from './errors.js'

/** Kind (index into {@link FAULTS}), payload, element. */
export type Fault = [kind: number, payload: number, index: number]

/** As `FaultKind` in native/numerics/codec.hpp. */
export const FAULTS: readonly (PayloadRefusal | 'overflow' | 'none')[] = [
  'none',
  'scale',
  'code',
  'padding',
  'indices',
  'value',
  'overflow',
]

/** The scalars of an outer step: kind, whether it is the first, and what the kinds need. */
export type StepArguments = [
  kind: number,
  isFirst: boolean,
  lr: number,
  weightDecay: number,
  momentum: number,
  beta1: number,
  beta2: number,
  bias1: number,
  bias2: number,
  epsilon: number,
]

type Floats = Float32Array | null

/** theta, m, v and where the new ones go; all null there: nothing is written. */
export type StateArguments = [
  theta: Float32Array,
  m: Floats,
  v: Floats,
  newTheta: Floats,
  newM: Floats,
  newV: Floats,
]

/** How contributions become one: 0 mean with these shares, 1 median, 2 trimmed mean. */
export type MeanArguments = [kind: number, shares: Float64Array, trim: number]

interface Numerics {
  encode(codec: number, values: Float32Array, payload: Uint8Array): Promise<Fault | null>
  contribute(
    codec: number,
    base: Float32Array,
    local: Float32Array,
    error: Floats,
    beta: number,
    total: Float32Array,
    payload: Uint8Array,
  ): Promise<Fault | null>
  decode(codec: number, out: Float32Array, payload: Uint8Array): Promise<Fault | null>
  remainder(
    codec: number,
    total: Float32Array,
    out: Float32Array,
    payload: Uint8Array,
  ): Promise<Fault | null>
  norm(codec: number, count: number, payload: Uint8Array): Promise<number | Fault>
  distances(
    codec: number,
    count: number,
    payloads: readonly Uint8Array[],
  ): Promise<Float64Array | Fault>
  aggregate(
    codec: number,
    out: Float32Array,
    payloads: readonly Uint8Array[],
    ...mean: MeanArguments
  ): Promise<Fault | null>
  apply(
    ...all: [
      ...StepArguments,
      ...StateArguments,
      codec: number,
      payloads: readonly Uint8Array[],
      ...MeanArguments,
    ]
  ): Promise<Fault | null>
  step(...all: [...StepArguments, ...StateArguments, mean: Float32Array]): Promise<Fault | null>
  mix(a: Float32Array, b: Float32Array, alpha: number, out: Float32Array): Promise<null>
  root(arrays: readonly Float32Array[]): Promise<Uint8Array>
}

let loaded: Numerics | undefined

/**
 * The library beside the addon's loader, loaded once.
 *
 * @throws AddonError when it is absent or does not load
 */
export function numerics(): Numerics {
  if (loaded !== undefined) return loaded
  const path = libraryBeside(findAddon().path, 'numerics')
  const found = { exports: {} as Numerics }
  try {
    process.dlopen(found, path, constants.dlopen.RTLD_NOW)
  } catch (cause) {
    throw new AddonError(`Cannot load torchbed's native arithmetic ${path}: ${String(cause)}`, {
      ...addonRepair(),
      cause,
    })
  }
  loaded = found.exports
  return loaded
}
