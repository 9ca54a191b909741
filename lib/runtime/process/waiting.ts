/** Waiting with an end. */

/** Whether a promise settles within so many milliseconds; Infinity waits for ever. Never rejects. */
export function settlesWithin(promise: Promise<unknown>, milliseconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer =
      milliseconds === Infinity ? undefined : setTimeout(() => resolve(false), milliseconds)
    const settled = () => {
      clearTimeout(timer)
      resolve(true)
    }
    promise.then(settled, settled)
  })
}
