import type { Metrics } from '../schema/index.js'

/** Lowest quality weight that is published (spec project#quality-weight). */
const MIN_QUALITY_WEIGHT = 0.01

/** Metrics that count work, the most telling first (spec project#contribution-weight). */
const WEIGHT_KEYS = [
  'tokens_processed',
  'accepted_tokens_or_samples',
  'examples_processed',
  'sample_count',
  'samples',
  'batch_count',
] as const

/**
 * How much a contribution counts: the first metric that says how much work was done and is a finite
 * number above zero; null when there is none (`standard_contribution_weight`, spec project#contribution-weight).
 */
export function standardContributionWeight(metrics: Metrics): number | null {
  for (const key of WEIGHT_KEYS) {
    const value = number(metrics, key)
    if (value !== null && value > 0) return value
  }
  return null
}

/**
 * How good a contribution is, in 0.01 to 1: it falls as the loss rises, and rises with accuracy or
 * score. Of `loss`, `train_loss`, `score` and `accuracy` the first that is there decides; without any,
 * and so without knowledge, it is 1. A metric that is not finite gives the lowest, and so does
 * `python_error`, which a peer of the reference reports when its evaluation failed.
 *
 * The reference's formula (spec project#quality-weight) takes the absolute value, so that a better accuracy gives
 * a lower weight, and gives a failed evaluation the highest; this one does neither
 * (spec defects#failed-evaluations).
 */
export function qualityWeight(metrics: Metrics): number {
  if (Object.hasOwn(metrics, 'python_error')) return MIN_QUALITY_WEIGHT
  for (const key of ['loss', 'train_loss', 'score', 'accuracy'] as const) {
    const value = Object.hasOwn(metrics, key) ? metrics[key] : undefined
    if (typeof value !== 'number' && typeof value !== 'bigint') continue
    return Math.max(MIN_QUALITY_WEIGHT, quality(key, Number(value)))
  }
  return 1
}

function quality(key: 'loss' | 'train_loss' | 'score' | 'accuracy', value: number): number {
  if (!Number.isFinite(value)) return 0
  switch (key) {
    case 'loss':
    case 'train_loss':
      return 1 / (1 + Math.max(0, value))
    case 'accuracy':
      return 1 / (2 - Math.min(1, Math.max(0, value)))
    case 'score':
      return (1 + value / (1 + Math.abs(value))) / 2
  }
}

function number(metrics: Metrics, key: string): number | null {
  const value = Object.hasOwn(metrics, key) ? metrics[key] : undefined
  if (typeof value !== 'number' && typeof value !== 'bigint') return null
  const result = Number(value)
  return Number.isFinite(result) ? result : null
}
