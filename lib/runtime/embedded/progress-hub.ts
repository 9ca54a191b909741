import { readProgress, tell, type ProgressListener } from '../progress.js'
import type { PyValue } from '../values.js'

/** How long the hub waits between two looks for progress, in milliseconds: a tight loop cannot flood JavaScript. */
export const PROGRESS_INTERVAL_MS = 20

/** `[id of the call, content, id, content, …]` as the bridge gives them. */
export type ProgressPieces = readonly (number | PyValue)[]

/** Distributes the progress of this environment's calls to their listeners, not too often. */
export class ProgressHub {
  readonly #listeners = new Map<number, ProgressListener>()
  #take: () => ProgressPieces = () => []

  /** `take` looks whether progress came; when none did, the bridge calls {@link write} for the next. */
  takeBy(take: () => ProgressPieces): void {
    this.#take = take
  }

  add(call: number, listener: ProgressListener): void {
    this.#listeners.set(call, listener)
  }

  delete(call: number): void {
    this.#listeners.delete(call)
  }

  /** Throws nothing. */
  write(pieces: ProgressPieces): void {
    for (let i = 0; i < pieces.length; i += 2) {
      const listener = this.#listeners.get(Number(pieces[i]))
      if (listener !== undefined) tell(listener, readProgress(pieces[i + 1] as PyValue))
    }
    if (pieces.length === 0) return
    setTimeout(() => this.write(this.#take()), PROGRESS_INTERVAL_MS).unref()
  }
}
