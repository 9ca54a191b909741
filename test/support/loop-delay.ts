/** How long work keeps the event loop waiting. */

/** The longest time between two turns of the event loop while work runs, in milliseconds. */
export async function longestTurn(work: () => Promise<unknown>): Promise<number> {
  let longest = 0
  let last = performance.now()
  let isRunning = true
  const turn = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (isRunning) setImmediate(turn)
  }
  setImmediate(turn)
  try {
    await work()
  } finally {
    isRunning = false
    turn()
  }
  return longest
}

/** The least of {@link longestTurn} in several tries, as the machine may be busy; ends once it is below `enough`. */
export async function leastLongestTurn(
  work: () => Promise<unknown>,
  enough: number,
  tries = 4,
): Promise<number> {
  let least = Infinity
  for (let count = 0; count < tries && least >= enough; count++) {
    least = Math.min(least, await longestTurn(work))
  }
  return least
}
