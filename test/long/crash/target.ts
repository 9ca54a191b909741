/** What is put under crashes. */
import type { Promises } from './promises.js'
import type { Random } from './random.js'

export interface CrashSettings {
  readonly seed: number
  /** Which of the writers this is, from 0. */
  readonly writer: number
  /** How many processes write at once. */
  readonly writers: number
}

export abstract class CrashTarget {
  readonly settings: CrashSettings

  constructor(settings: CrashSettings) {
    this.settings = settings
  }

  /** Once, before any writer starts. */
  abstract prepare(): Promise<void>

  /** Does one thing, and reports what that promises. */
  abstract step(random: Random): Promise<void>

  /** Yields what does not hold; after a crash, in a process of its own, with nobody else at work. */
  abstract check(promises: Promises): AsyncGenerator<string>
}
