/** How often something may happen: a bucket of tokens that fills at a constant rate. */

export class TokenBucket {
  readonly #perSecond: number
  readonly #most: number
  readonly #now: () => number
  #tokens: number
  #at: number

  /** @param most how many may come at once after a silence */
  constructor(perSecond: number, most: number, now: () => number = () => performance.now()) {
    this.#perSecond = perSecond
    this.#most = most
    this.#now = now
    this.#tokens = most
    this.#at = now()
  }

  /** Takes a token; false when there is none. */
  take(): boolean {
    const now = this.#now()
    this.#tokens = Math.min(this.#most, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond)
    this.#at = now
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
