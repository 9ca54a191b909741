/** Sketches of updates: a few numbers by which updates are compared without their weights (spec network-roles#screening). */

import type { UpdateFeatureSketch } from '../schema/records/network/index.js'

/** Entries of an update that a sketch names as its largest. */
const TOP_ENTRIES = 8

/** Name of the one layer of an update that has no others. */
const WHOLE = 'update'

/** A part of an update: its name, and where it begins and ends. */
export type SketchLayer = readonly [name: string, start: number, end: number]

/** What a sketch is made with. */
export interface SketchOptions {
  /** Number of entries of the projection, at least 1. Default 64. */
  readonly dimension?: number
  /** An update to compare with, such as the mean of earlier ones. Default none: then no similarity is known. */
  readonly reference?: ArrayLike<number> | null | undefined
  /** Default one layer over all entries. */
  readonly layers?: readonly SketchLayer[]
  /** How much worse the model became on the canary; `null` when it was not evaluated. */
  readonly canaryLossDelta?: number | null
  /** Windows between the update's base and the current one. Default 0. */
  readonly stalenessWindows?: number
  /** Milliseconds between announcement and receipt. Default 0. */
  readonly receiveDelayMs?: number
  /** Tensors with a NaN or an infinity. Default 0. */
  readonly nonFiniteTensors?: number
}

/**
 * The sketch of an update, over its entries as 64-bit floats in their order.
 *
 * The projection is the mean of each of `dimension` consecutive slices, with zeros after the last. Similarities need a
 * reference that is as long and has a norm.
 */
export function featureSketch(
  update: ArrayLike<number>,
  options: SketchOptions = {},
): UpdateFeatureSketch {
  const { dimension = 64, reference = null, layers = [] } = options
  const norm = normOf(update, 0, update.length)
  const parts: readonly SketchLayer[] = layers.length > 0 ? layers : [[WHOLE, 0, update.length]]
  const projection = projectionOf(update, dimension)
  const cosine = reference === null ? null : cosineOf(update, norm, reference)
  return {
    artifact_size_bytes: update.length * Float64Array.BYTES_PER_ELEMENT,
    global_norm: norm,
    per_layer_norms: Object.fromEntries(
      parts.map(([name, start, end]) => [name, normOf(update, start, end)]),
    ),
    random_projection: projection,
    // Without the zero that Math.sign keeps negative.
    sign_projection: projection.map((value) => Math.sign(value) || 0),
    top_k_indices: largest(update),
    cosine_to_reference: cosine,
    sign_agreement_fraction: reference === null ? null : agreementOf(update, reference),
    canary_loss_delta: options.canaryLossDelta ?? null,
    historical_deviation_score: cosine === null ? null : Math.max(0, 1 - cosine),
    neighbor_distance: cosine === null ? null : Math.abs(1 - cosine) * norm,
    staleness_windows: options.stalenessWindows ?? 0,
    receive_delay_ms: options.receiveDelayMs ?? 0,
    non_finite_tensor_count: options.nonFiniteTensors ?? 0,
  }
}

function normOf(values: ArrayLike<number>, start: number, end: number): number {
  // A sum of nothing is -0 in Rust.
  let sum = -0
  for (let i = start; i < end; i++) sum += (values[i] ?? 0) ** 2
  return Math.sqrt(sum)
}

function projectionOf(values: ArrayLike<number>, dimension: number): number[] {
  const width = Math.max(1, Math.ceil(values.length / dimension))
  return Array.from({ length: dimension }, (_, slice) => {
    const start = slice * width
    const end = Math.min(start + width, values.length)
    if (start >= end) return 0
    let sum = 0
    for (let i = start; i < end; i++) sum += values[i] ?? 0
    return sum / (end - start)
  })
}

function cosineOf(
  values: ArrayLike<number>,
  norm: number,
  reference: ArrayLike<number>,
): number | null {
  const other = normOf(reference, 0, reference.length)
  if (values.length !== reference.length || norm === 0 || other === 0) return null
  let dot = 0
  for (let i = 0; i < values.length; i++) dot += (values[i] ?? 0) * (reference[i] ?? 0)
  return dot / (norm * other)
}

/** The share of entries with the same sign; zero counts as positive. */
function agreementOf(values: ArrayLike<number>, reference: ArrayLike<number>): number | null {
  if (values.length === 0) return null
  let same = 0
  for (let i = 0; i < Math.min(values.length, reference.length); i++) {
    if ((values[i] ?? 0) >= 0 === (reference[i] ?? 0) >= 0) same += 1
  }
  return same / values.length
}

/** Indices of the largest entries by size, the first of equal ones first. In one pass: updates have millions. */
function largest(values: ArrayLike<number>): number[] {
  const top: number[] = []
  const size = (index: number): number => Math.abs(values[index] ?? 0)
  for (let index = 0; index < values.length; index++) {
    const last = top[TOP_ENTRIES - 1]
    if (last !== undefined && !(size(index) > size(last))) continue
    let at = top.length
    while (at > 0 && size(index) > size(top[at - 1] ?? index)) at -= 1
    top.splice(at, 0, index)
    top.length = Math.min(top.length, TOP_ENTRIES)
  }
  return top
}
