/** Doing the same for many items, a few at a time. */

/**
 * Runs `use` for every item, at most `limit` at one time, in order of their start. When one fails, no further one
 * is started, those under way are waited for, and the first error is thrown.
 */
export async function inParallel<T>(
  items: Iterable<T>,
  limit: number,
  use: (item: T) => Promise<void>,
): Promise<void> {
  let failure: { readonly error: unknown } | undefined
  const iterator = items[Symbol.iterator]()
  const work = async () => {
    while (failure === undefined) {
      const next = iterator.next()
      if (next.done === true) return
      try {
        await use(next.value)
      } catch (error) {
        failure ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: limit }, work))
  if (failure !== undefined) throw failure.error
}
