/** One line of the benchmark: a ratio of two medians, and what it should be. */

/** How much to measure. */
export interface Effort {
  /** Fewer rounds and smaller models: to see that it runs, not for numbers. */
  readonly quick: boolean
}

export interface Row {
  readonly id: string
  /** What is divided by what. */
  readonly title: string
  readonly ratio: number
  readonly limit: number
  readonly better: 'at most' | 'at least'
  readonly ok: boolean
  /** The medians behind the ratio, with their unit in the name. */
  readonly medians: Readonly<Record<string, number>>
}

/** A family of rows that share a set-up. */
export interface Group {
  readonly name: string
  readonly ids: readonly string[]
  run(effort: Effort): AsyncIterable<Row>
}

export function row(
  id: string,
  title: string,
  ratio: number,
  better: Row['better'],
  limit: number,
  medians: Row['medians'],
): Row {
  const ok = better === 'at most' ? ratio <= limit : ratio >= limit
  return { id, title, ratio, limit, better, ok, medians }
}
