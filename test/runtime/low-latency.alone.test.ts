/** Option `latency: 'low'`: the same calls, answered without a wake-up where they are short. */
import assert from 'node:assert/strict'
import { AbortError, EmbeddedRuntime, type WorkloadSession } from '../../lib/index.js'
import { workloadRoot } from '../support/workloads.js'

let runtime: EmbeddedRuntime
let session: WorkloadSession

before(async () => {
  runtime = await EmbeddedRuntime.start({ latency: 'low' })
  session = await runtime.openWorkload({
    factory: 'value_probe:create_workload',
    moduleSearchRoots: [workloadRoot],
  })
})
after(() => runtime.close())

const probe = (expression: string, options?: { signal: AbortSignal }) =>
  session.call('probe', { expression, value: null }, options)

/** Whether the answer is there after a few microtasks, in which the event loop cannot turn. */
async function answersAtOnce(asked: WorkloadSession): Promise<boolean> {
  const answers: unknown[] = []
  const call = asked.call('hello').then((answer) => answers.push(answer))
  for (let i = 0; i < 10; i++) await Promise.resolve()
  const isThere = answers.length > 0
  await call
  return isThere
}

describe('a runtime of low latency', () => {
  it('answers short calls before the event loop turns, which an ordinary one never does', async () => {
    await using ordinary = await EmbeddedRuntime.start()
    await using other = await ordinary.openWorkload({
      factory: 'value_probe:create_workload',
      moduleSearchRoots: [workloadRoot],
    })
    for (let i = 0; i < 100; i++) assert.equal(await answersAtOnce(other), false)
    // On a busy machine the answer is often late.
    const isOver = AbortSignal.timeout(20_000)
    while (!(await answersAtOnce(session))) assert.equal(isOver.aborted, false)
  })

  it('keeps the order of many calls at once, and of their errors', async () => {
    const answers = await Promise.allSettled(
      Array.from({ length: 500 }, (_, i) => probe(i % 7 === 0 ? '1 / 0' : String(i))),
    )
    for (const [i, answer] of answers.entries()) {
      if (i % 7 === 0) assert.equal(answer.status, 'rejected')
      else assert.deepEqual(answer, { status: 'fulfilled', value: BigInt(i) })
    }
  })

  it('lets a call that is longer than the wait end as always', async () => {
    assert.equal(await probe('sleep(0.02) or 5'), 5n)
  })

  it('shows what was printed before the call is answered', async () => {
    for (let i = 0; i < 50; i++) {
      const seen: string[] = []
      runtime.once('stdout', (line) => seen.push(line))
      await probe(`print("line ${i}")`)
      assert.deepEqual(seen, [`line ${i}`])
    }
  })

  it('cancels as always', async () => {
    const abort = new AbortController()
    const call = probe('[sleep(0.001) for _ in range(100000)]', { signal: abort.signal })
    setTimeout(() => abort.abort(), 20)
    await assert.rejects(call, AbortError)
    assert.equal(await probe('7'), 7n)
  })

  it('shares Python with runtimes of ordinary latency', async () => {
    await using other = await EmbeddedRuntime.start()
    const slow = await other.openWorkload({
      factory: 'value_probe:create_workload',
      moduleSearchRoots: [workloadRoot],
    })
    const both = Array.from({ length: 100 }, (_, i) => [
      probe(String(i)),
      slow.call('probe', { expression: String(-i), value: null }),
    ]).flat()
    const answers = await Promise.all(both)
    assert.deepEqual(answers.slice(0, 4), [0n, 0n, 1n, -1n])
  })
})
