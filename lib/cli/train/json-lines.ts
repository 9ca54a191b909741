import type { TrainEvent, TrainReporter } from './events.js'

/**
 * One JSON object a line. Metrics are ordinary JSON numbers; NaN and infinities, which JSON lacks, are
 * written as the strings `"NaN"`, `"Infinity"` and `"-Infinity"`.
 */
export class JsonLinesReporter implements TrainReporter {
  event(event: TrainEvent): void {
    process.stdout.write(`${JSON.stringify(event, plainNumbers)}\n`)
  }

  end(): void {
    // Every line is complete.
  }
}

function plainNumbers(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  return value
}
