/** One line of the benchmark: what is measured, what it should be, what it was. */

/** What a row asks, known before anything runs. */
export interface RowSpec {
  readonly id: string
  /** What is divided by what, at full size. */
  readonly title: string
  readonly better: 'at most' | 'at least'
  readonly limit: number
  /** Unit of the ratio and the limit, where they are no plain quotient: `ms`. */
  readonly unit?: string
  /** What must be there; else the row is skipped. */
  readonly needs?: readonly Need[]
}

export type Need = 'torch' | 'linux'

/** A row of a results file. Field names are stable: plots and documents are made from them. */
export interface Row extends RowSpec {
  /** Null when skipped, as is `ok`. */
  readonly ratio: number | null
  /** Whether the ratio keeps to the limit. */
  readonly ok: boolean | null
  /** The medians behind the ratio, with their unit in the name. */
  readonly medians: Readonly<Record<string, number>>
  /** Sizes and rounds that it was measured with. */
  readonly settings: Readonly<Record<string, number>>
  /** Why there is no result. */
  readonly skipped?: string
  /** How long the row took, its share of the set-up included. */
  readonly seconds?: number
}

/** How much to measure. */
export interface Effort {
  /** Fewer rounds and smaller models: to see that it runs, not for numbers. */
  readonly quick: boolean
  /** Whether the row is asked for; a group may yield others, which are dropped. */
  wants(id: string): boolean
  /** Says which rows are being measured now. */
  begin(...ids: string[]): void
}

/** A family of rows that share a set-up. */
export interface Group {
  readonly name: string
  readonly rows: readonly RowSpec[]
  /** Measures the wanted rows. Throws {@link CannotRun} when this machine lacks something. */
  run(effort: Effort): AsyncIterable<Row>
}

/** A results file, as `--json` writes it. */
export interface Results<Machine> {
  readonly machine: Machine
  /** How long all rows took together. */
  readonly seconds: number
  readonly rows: readonly Row[]
}

/** Why rows cannot be measured here, in words for a user. */
export class CannotRun extends Error {
  override readonly name = 'CannotRun'
}

export function measured(
  spec: RowSpec,
  ratio: number,
  medians: Row['medians'],
  settings: Row['settings'],
): Row {
  if (!Number.isFinite(ratio)) throw new Error(`${spec.id} gave ${ratio}, which is no ratio`)
  const ok = spec.better === 'at most' ? ratio <= spec.limit : ratio >= spec.limit
  return { ...spec, ratio, ok, medians, settings }
}

export function skipped(spec: RowSpec, reason: string): Row {
  return { ...spec, ratio: null, ok: null, medians: {}, settings: {}, skipped: reason }
}

/** The size that rows of 400 MB are measured at. */
export function largeMegabytes({ quick }: Effort): number {
  return quick ? 32 : 400
}
