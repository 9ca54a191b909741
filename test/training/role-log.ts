/** The events of a role that runs by itself. */
import type { TrainingEvent } from '../../lib/training/index.js'

/** Takes what a role yields until it is stopped. */
export class RoleLog {
  readonly events: TrainingEvent[] = []
  readonly #work: Promise<void>
  readonly #waiting = new Set<() => void>()
  #error: unknown

  constructor(
    source: AsyncGenerator<TrainingEvent, void>,
    readonly controller: AbortController,
  ) {
    this.#work = (async () => {
      try {
        for await (const event of source) {
          this.events.push(event)
          this.#wake()
        }
      } catch (error) {
        if (!controller.signal.aborted) this.#error = error
      }
      this.#wake()
    })()
  }

  of<E extends TrainingEvent['event']>(event: E): (TrainingEvent & { event: E })[] {
    return this.events.filter((item): item is TrainingEvent & { event: E } => item.event === event)
  }

  /** Waits until something holds of the events. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.#error !== undefined) throw this.#error as Error
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  promoted(step: number): Promise<void> {
    return this.until(() =>
      this.of('promoted').some(({ promotion }) => promotion.head.global_step >= step),
    )
  }

  async stop(): Promise<void> {
    this.controller.abort()
    await this.#work
    if (this.#error !== undefined) throw this.#error as Error
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}
