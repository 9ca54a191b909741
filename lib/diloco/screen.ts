/** Which contributions count, by their norms alone, so that all replicas decide alike. */
import { ConfigError } from '../errors.js'

/** Multiples of the usual norm. */
export interface ScreenOptions {
  /** A larger norm is refused; default 10. */
  readonly refuseAbove?: number
  /** A larger norm is scaled down to this; default 3. */
  readonly clipAbove?: number
}

/** What becomes of one contribution. */
export interface Verdict {
  readonly kept: boolean
  /** What it is multiplied with. */
  readonly factor: number
}

/** The verdicts in the order of the norms, and the usual norm of the next round. */
export interface Screening {
  readonly verdicts: readonly Verdict[]
  /** Part of the replicated state: the median of the norms kept; null while unknown. */
  readonly usualNorm: number | null
}

/**
 * Screens the contributions of a round.
 *
 * The usual norm is the median of this round's when they are three or more, else that of the rounds before; while it
 * is unknown nothing is refused.
 *
 * @param norms of the decoded contributions in peer order, as `Codec.norm` gives them
 * @param usualNorm as the round before left it; null for the first
 * @throws ConfigError when an option is no positive number, or `clipAbove` is above `refuseAbove`
 */
export function screen(
  norms: readonly number[],
  usualNorm: number | null,
  options: ScreenOptions = {},
): Screening {
  const { refuseAbove, clipAbove } = checked(options)
  const usual = norms.length >= 3 ? medianOf(norms) : usualNorm
  const verdicts = norms.map((norm): Verdict => {
    if (usual === null) return { kept: true, factor: 1 }
    const factor = norm <= clipAbove * usual ? 1 : (clipAbove * usual) / norm
    return { kept: norm <= refuseAbove * usual, factor }
  })
  const kept = norms.filter((_, index) => verdicts[index]?.kept)
  return { verdicts, usualNorm: kept.length > 0 ? medianOf(kept) : usualNorm }
}

/** The middle of the sorted values, or the mean of the two in the middle. */
function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2
}

function checked({ refuseAbove = 10, clipAbove = 3 }: ScreenOptions): Required<ScreenOptions> {
  const issues = Object.entries({ refuseAbove, clipAbove })
    .filter(([, value]) => !(value > 0))
    .map(([path, value]) => ({ path, message: `must be above 0, not ${String(value)}` }))
  if (clipAbove > refuseAbove) {
    const message = `must be at most refuseAbove (${refuseAbove}), not ${clipAbove}`
    issues.push({ path: 'clipAbove', message })
  }
  if (issues.length > 0) throw new ConfigError('Cannot screen contributions', issues)
  return { refuseAbove, clipAbove }
}
