import { printError } from '../report-error.js'
import type { TrainEvent, TrainReporter } from './events.js'

/** For scripts: the path of the trained model on stdout, errors on stderr. */
export class QuietReporter implements TrainReporter {
  event(event: TrainEvent): void {
    if (event.event === 'summary') process.stdout.write(`${event.artifact}\n`)
    else if (event.event === 'error') printError(event)
  }

  status(): void {
    // No progress.
  }

  output(): void {
    // A hook that fails says so in its error.
  }

  end(): void {
    // Every line is complete.
  }
}
