/** Urgent calls: inside the running call at its yield points, and never in its way, in both runtimes. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  AbortError,
  DeadlineError,
  HookRaisedError,
  RuntimeBusyError,
  type Progress,
  type Tensor,
  TorchProject,
} from '../../lib/index.js'
import { withTorch, workloadRoot } from '../support/workloads.js'

for (const isolation of ['none', 'process'] as const) {
  ;(withTorch ? describe : describe.skip)(`urgent calls with isolation ${isolation}`, () => {
    let project: TorchProject
    before(async () => {
      const runtime = {
        workload_factory: 'hooked:create_workload',
        module_search_roots: [workloadRoot],
      }
      project = await TorchProject.open({ runtime }, { isolation })
    })
    after(() => project.close())
    beforeEach(() => log())

    const urgent = { urgent: true }
    const log = () => project.call<undefined, string[]>(null, 'log')
    const work = (steps: number, seconds: number, more: object = {}, options = {}) =>
      project.call<object, bigint>(null, 'work', { steps, seconds, ...more }, options)
    const note = (name: string, more: object = {}, options: object = urgent) =>
      project.call<object, Tensor>(null, 'note', { name, ...more }, options)

    /** When the work has begun. */
    const begun = () => sleep(120)

    it('run inside a window at the next yield point, others after it', async () => {
      const working = work(20, 0.02)
      await begun()
      const ordinary = note('ordinary', {}, {})
      assert.equal((await note('urgent')).shape[0], 1)
      assert.equal(await working, 20n)
      await ordinary
      const events = await log()
      assert.ok(events.indexOf('urgent') < events.indexOf('step 18'), events.join())
      assert.ok(events.indexOf('step 19') < events.indexOf('ordinary'), events.join())
    })

    it('go before calls that wait, in their own order', async () => {
      const waiting = [note('first', { seconds: 0.2 }, {})]
      await begun()
      waiting.push(note('ordinary', {}, {}), note('a'), note('b'))
      await Promise.all(waiting)
      assert.deepEqual(await log(), ['first', 'a', 'b', 'ordinary'])
    })

    it('have results of any size, progress and failures of their own', async () => {
      const working = work(30, 0.02)
      await begun()
      assert.equal((await note('large', { size: 100_000 })).byteLength, 400_000)
      const heard: Progress[] = []
      const options = { ...urgent, onProgress: (progress: Progress) => heard.push(progress) }
      await note('told', {}, options)
      assert.equal(heard.length, 1)
      await assert.rejects(note('failing', { fail: 'not this one' }), /not this one/)
      assert.equal(await working, 30n)
    })

    it('keep their results when the call around them fails', async () => {
      const working = work(8, 0.04, { fail: 'the work' })
      working.catch(() => undefined)
      await begun()
      await using model = await project.initModel(undefined, urgent)
      await assert.rejects(working, HookRaisedError)
      assert.deepEqual(await project.call(model, 'state_of'), { device: 'python-plain', steps: 0n })
    })

    it('stream items while a window trains', async () => {
      const working = work(60, 0.02)
      await begun()
      const items: unknown[] = []
      for await (const item of project.stream(null, 'count', { to: 5 }, urgent)) items.push(item)
      assert.deepEqual(items, [0n, 1n, 2n, 3n, 4n])
      assert.equal(await working, 60n)
      const events = await log()
      assert.ok(events.indexOf('item 4') < events.indexOf('step 59'), events.join())
    })

    it('are batched while a window trains', async () => {
      const working = work(20, 0.02)
      await begun()
      const echo = project.batched<number, number>(null, 'echo', urgent)
      assert.deepEqual(await Promise.all([0.5, 1.5].map((value) => echo(value))), [0.5, 1.5])
      assert.equal(await working, 20n)
    })

    it('are not interrupted themselves at a yield point', async () => {
      const working = work(20, 0.02)
      await begun()
      await Promise.all([project.call(null, 'nested', undefined, urgent), note('after')])
      await working
      const events = await log()
      assert.ok(events.indexOf('nested') < events.indexOf('after'), events.join())
    })

    it('wait for the end of a hook that runs in the event loop', async () => {
      const working = project.call(null, 'work_async', { steps: 5, seconds: 0.03 })
      await begun()
      await note('waited')
      await working
      assert.equal((await log()).at(-1), 'waited')
    })

    it('let an abort through to the call around them, and answer first', async () => {
      const controller = new AbortController()
      const working = work(500, 0.01, {}, { signal: controller.signal })
      working.catch(() => undefined)
      await begun()
      const slow = note('slow', { seconds: 0.2 })
      await sleep(60)
      controller.abort()
      assert.equal((await slow).shape[0], 1)
      await assert.rejects(working, AbortError)
      assert.equal(await project.call(null, 'decorated'), 7n)
    })

    it('end alone at their signal and their deadline', async () => {
      const working = work(40, 0.02)
      await begun()
      const controller = new AbortController()
      const aborted = note('aborted', { seconds: 0.1 }, { ...urgent, signal: controller.signal })
      setTimeout(() => controller.abort(), 60)
      await assert.rejects(aborted, AbortError)
      await assert.rejects(
        note('late', { seconds: 0.2 }, { ...urgent, timeoutMs: 60 }),
        DeadlineError,
      )
      assert.equal(await working, 40n)
    })

    it('are many at once without holding the window up for long', async () => {
      const working = work(40, 0.01)
      await begun()
      const notes = await Promise.all(Array.from({ length: 200 }, (_, n) => note(`n${n}`)))
      assert.equal(notes.length, 200)
      assert.equal(await working, 40n)
      const events = (await log()).filter((event) => event.startsWith('n'))
      assert.deepEqual(
        events,
        Array.from({ length: 200 }, (_, n) => `n${n}`),
      )
    })

    it('are told the name of the hook that is overdue', async () => {
      const late = project.call(null, 'long_c_call', undefined, { timeoutMs: 30 })
      await assert.rejects(
        late,
        (error) =>
          error instanceof DeadlineError && error.message.startsWith('long_c_call did not'),
      )
      await assert.rejects(
        note('refused'),
        (error) =>
          error instanceof RuntimeBusyError && error.message.includes('inside long_c_call,'),
      )
    })
  })
}
