import { jsonDocument } from '../text/json-document.js'
import type { TrainEvent, TrainReporter } from './events.js'

/** One JSON object a line. */
export class JsonLinesReporter implements TrainReporter {
  event(event: TrainEvent): void {
    process.stdout.write(jsonDocument(event, 0))
  }

  end(): void {
    // Every line is complete.
  }
}
