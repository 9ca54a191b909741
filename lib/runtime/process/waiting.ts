/** Waiting with an end. */

/** Whether a promise settles within `ms` milliseconds; Infinity waits indefinitely. Never rejects. */
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
