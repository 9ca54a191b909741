/** Filters the updates of a window by how far each is from the others (spec network-roles#screening). */

import { ConfigError } from '../errors.js'
import type { RobustnessPolicy, UpdateFeatureSketch } from '../schema/records/network/index.js'

/** What becomes of an update among the others. */
export interface CohortDecision {
  readonly isAccepted: boolean
  /** What its weight is multiplied with; 0 when it is not accepted. */
  readonly scale: number
}

/** An accepted update of a window. Numbers must be finite: `screenUpdate` sees to that. */
export interface CohortMember {
  readonly sketch: UpdateFeatureSketch
  /** Its weight by screening. */
  readonly weight: number
}

const ACCEPTED: CohortDecision = { isAccepted: true, scale: 1 }
const DROPPED: CohortDecision = { isAccepted: false, scale: 0 }

/** With fewer members there is no majority to be far from. */
const MIN_MEMBERS = 3

/** Up to this distance an update keeps its full weight; beyond, at least this share of it. */
const FULL_WEIGHT_DISTANCE = 1.5
const MIN_SCALE = 0.25

/** A trusted reference scales the weight of updates whose cosine to it is below this. */
const TRUSTED_COSINE = 0.95

/**
 * Decides which updates of a window are kept, and what they weigh; in the order of the members.
 *
 * Recorded from the reference are `SimilarityAware`, `TrustedReferenceWeightedMean` and, for up to nine members,
 * `MultiBulyan`.
 *
 * @throws ConfigError for a strategy that is not implemented
 */
export function filterCohort(
  members: readonly CohortMember[],
  policy: RobustnessPolicy,
): CohortDecision[] {
  const { strategy } = policy.cohort_filter_policy
  const filter = FILTERS[strategy]
  if (filter === undefined) {
    const known = Object.keys(FILTERS).join(', ')
    const message = `${strategy} is not implemented; use one of ${known}`
    const path = 'cohort_filter_policy.strategy'
    throw new ConfigError('Cannot filter the updates of a window', [{ path, message }])
  }
  return members.length < MIN_MEMBERS ? members.map(() => ACCEPTED) : filter(members, policy)
}

type Filter = (members: readonly CohortMember[], policy: RobustnessPolicy) => CohortDecision[]

const FILTERS: Readonly<Partial<Record<string, Filter>>> = {
  None: (members) => members.map(() => ACCEPTED),
  SimilarityAware: (members, policy) => {
    const distances = distancesToCentre(members, policy)
    const most = policy.cohort_filter_policy.maximum_pairwise_distance
    const farthest = Math.max(...distances)
    const isClose = farthest <= 2 * most || farthest - Math.min(...distances) <= most
    return isClose ? members.map(() => ACCEPTED) : keepNear(distances, policy)
  },
  TrustedReferenceWeightedMean: (members, policy) => {
    const cosines = members.map(({ sketch }) => sketch.cosine_to_reference ?? 1)
    const distances = distancesToCentre(members, policy).map(
      (distance, index) => distance + (1 - (cosines[index] ?? 1)),
    )
    return keepNear(distances, policy).map(({ isAccepted, scale }, index) => {
      const cosine = cosines[index] ?? 1
      const share = cosine < TRUSTED_COSINE ? Math.max(cosine, 0) : 1
      return { isAccepted, scale: scale * share }
    })
  },
  MultiBulyan: (members, policy) => {
    const count = members.length
    const suspects = Math.ceil(count * policy.assumed_byzantine_fraction)
    const survivors = Math.max(
      policy.cohort_filter_policy.minimum_survivor_count,
      count - 2 * suspects,
    )
    const scores = krumScores(
      members.map(({ sketch }) => vectorOf(sketch)),
      suspects,
    )
    return keepLowest(scores, survivors).map((isKept) => (isKept ? ACCEPTED : DROPPED))
  },
}

/** Keeps what is within the policy's distance, or else the nearest, and weighs the far less. */
function keepNear(distances: readonly number[], policy: RobustnessPolicy): CohortDecision[] {
  const { maximum_pairwise_distance, minimum_survivor_count } = policy.cohort_filter_policy
  const near = distances.map((distance) => distance <= maximum_pairwise_distance)
  const isEnough = near.filter(Boolean).length >= minimum_survivor_count
  const kept = isEnough ? near : keepLowest(distances, minimum_survivor_count)
  return distances.map((distance, index) => {
    if (kept[index] !== true) return DROPPED
    if (distance <= FULL_WEIGHT_DISTANCE) return ACCEPTED
    return { isAccepted: true, scale: Math.min(Math.max(1 / (1 + distance), MIN_SCALE), 1) }
  })
}

/** Which values are among the `count` lowest; of equal ones the first. */
function keepLowest(values: readonly number[], count: number): boolean[] {
  const order = [...values.keys()].sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0))
  const lowest = new Set(order.slice(0, count))
  return values.map((_, index) => lowest.has(index))
}

/** The distance of each member to the weighted mean of all, with a quarter of that to its neighbour. */
function distancesToCentre(
  members: readonly CohortMember[],
  { clipping_policy: { global_norm_cap } }: RobustnessPolicy,
): number[] {
  const vectors = members.map(({ sketch }) => vectorOf(sketch))
  const centre = new Float64Array(vectors[0]?.length ?? 0)
  let total = 0
  for (const [index, vector] of vectors.entries()) {
    // One of another length cannot be averaged with the others.
    if (vector.length !== centre.length) continue
    const weight = members[index]?.weight ?? 0
    const norm = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0))
    const share = norm > global_norm_cap ? global_norm_cap / norm : 1
    total += weight
    for (const [at, value] of vector.entries())
      centre[at] = (centre[at] ?? 0) + value * share * weight
  }
  if (total > 0) for (const [at, value] of centre.entries()) centre[at] = value / total
  return vectors.map((vector, index) => {
    const common = Math.min(vector.length, centre.length)
    let sum = 0
    for (let at = 0; at < common; at++) sum += ((vector[at] ?? 0) - (centre[at] ?? 0)) ** 2
    return Math.sqrt(sum) + 0.25 * (members[index]?.sketch.neighbor_distance ?? 0)
  })
}

/** For each vector the sum of squared distances to its nearest others: how many depends on the suspects. */
function krumScores(vectors: readonly (readonly number[])[], suspects: number): number[] {
  const nearest = Math.max(vectors.length - suspects - 2, 1)
  return vectors.map((vector, index) => {
    const others = vectors.filter((_, at) => at !== index)
    const distances = others.map((other) => squaredDistance(vector, other)).sort((a, b) => a - b)
    return distances.slice(0, nearest).reduce((sum, distance) => sum + distance, 0)
  })
}

function squaredDistance(a: readonly number[], b: readonly number[]): number {
  let sum = 0
  for (let at = 0; at < Math.min(a.length, b.length); at++)
    sum += ((a[at] ?? 0) - (b[at] ?? 0)) ** 2
  return sum
}

/** What stands for an update: its projection, or where there is none all else that is known of it. */
function vectorOf(sketch: UpdateFeatureSketch): readonly number[] {
  if (sketch.random_projection.length > 0) return sketch.random_projection
  return [
    sketch.global_norm,
    sketch.cosine_to_reference ?? 0,
    sketch.sign_agreement_fraction ?? 0,
    sketch.canary_loss_delta ?? 0,
    sketch.historical_deviation_score ?? 0,
    sketch.neighbor_distance ?? 0,
    sketch.staleness_windows,
    sketch.receive_delay_ms / 1000,
    ...sketch.sign_projection,
  ]
}
