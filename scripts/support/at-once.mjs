/**
 * Does the same with every item, so many at one time, in their order.
 *
 * @template T
 * @param {number} count
 * @param {readonly T[]} items
 * @param {(item: T) => Promise<void>} work
 */
export async function atOnce(count, items, work) {
  const waiting = [...items]
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: count }, worker))
}
