/** Generator hooks as async iterables: demand, ends of every kind, and turns, in both runtimes. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { HookMissingError, ProtocolError } from '../../lib/errors.js'
import {
  AbortError,
  ConfigError,
  DeadlineError,
  HookRaisedError,
  Tensor,
  tensor,
  TorchProject,
  ValueError,
} from '../../lib/index.js'
import { withTorch, workloadRoot } from '../support/workloads.js'

for (const isolation of ['none', 'process'] as const) {
  ;(withTorch ? describe : describe.skip)(`project.stream with isolation ${isolation}`, () => {
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

    const log = () => project.call<undefined, string[]>(null, 'log')

    /** The log, once the generator has ended. */
    async function logOfEnded(): Promise<string[]> {
      const seen: string[] = []
      for (let tries = 0; tries < 400 && seen.at(-1) !== 'end'; tries++) {
        seen.push(...(await log()))
        await sleep(5)
      }
      return seen
    }

    for (const hook of ['count', 'count_async']) {
      it(`gives what ${hook} yields, in order`, async () => {
        const items = await collect(project.stream(null, hook, { to: 100 }))
        assert.deepEqual(
          items,
          Array.from({ length: 100 }, (_, index) => BigInt(index)),
        )
        assert.equal((await log()).at(-1), 'end')
      })

      it(`ends ${hook} when the loop is left, and no more than the read-ahead has run`, async () => {
        for await (const item of project.stream(null, hook, { to: 1000 }, { readAhead: 4 })) {
          if (item === 10n) break
        }
        const seen = await log()
        assert.equal(seen.at(-1), 'end')
        assert.ok(seen.length <= 2 + 11 + 4, `${seen.length} events`)
      })

      it(`tells an error of ${hook} after the items before it, with Python's traceback`, async () => {
        const items: unknown[] = []
        await assert.rejects(
          async () => {
            for await (const item of project.stream(null, hook, { to: 9, fail: 3 }))
              items.push(item)
          },
          (error) => {
            assert.ok(error instanceof HookRaisedError)
            assert.match(error.pythonTraceback, /hooked\.py.*RuntimeError: no item 3/s)
            return true
          },
        )
        assert.deepEqual(items, [0n, 1n, 2n])
        assert.equal((await log()).at(-1), 'end')
      })

      it(`ends ${hook} at an abort, between items and in the middle of one`, async () => {
        for (const seconds of [0, 30]) {
          const controller = new AbortController()
          const options = { signal: controller.signal, readAhead: 0 }
          const stream = project.stream(null, hook, { to: 1000, seconds }, options)
          if (seconds === 0) assert.equal((await stream.next()).value, 0n)
          setTimeout(() => controller.abort('enough'), 50)
          if (seconds === 0) assert.deepEqual((await logOfEnded()).at(-1), 'end')
          await assert.rejects(stream.next(), (error) => {
            assert.ok(error instanceof AbortError)
            assert.equal(error.cause, 'enough')
            assert.match(error.message, new RegExp(`^${hook} was aborted$`))
            return true
          })
          assert.deepEqual(await stream.next(), { done: true, value: undefined })
          if (seconds > 0) assert.equal((await logOfEnded()).at(-1), 'end')
        }
      })

      it(`ends ${hook} at the deadline, also while the consumer is busy`, async () => {
        const idle = project.stream(null, hook, { to: 1000 }, { timeoutMs: 60, readAhead: 0 })
        await idle.next()
        assert.equal((await logOfEnded()).at(-1), 'end')
        await assert.rejects(idle.next(), DeadlineError)
        const slow = project.stream(null, hook, { to: 5, seconds: 30 }, { timeoutMs: 60 })
        await assert.rejects(slow.next(), DeadlineError)
        assert.equal((await logOfEnded()).at(-1), 'end')
      })
    }

    it('runs nothing before the first item is asked for, and then only on demand', async () => {
      const stream = project.stream(null, 'count', { to: 10 }, { readAhead: 0 })
      await sleep(20)
      assert.deepEqual(await log(), [])
      await stream.next()
      await stream.next()
      await sleep(20)
      assert.deepEqual(await log(), ['begin', 'item 0', 'item 1'])
      await stream.return(undefined)
      assert.deepEqual(await log(), ['end'])
      assert.deepEqual(await stream.next(), { done: true, value: undefined })
    })

    it('ends a generator whose consumer throws, and one that never yields', async () => {
      await assert.rejects(async () => {
        for await (const item of project.stream<object, bigint>(null, 'count', { to: 1000 })) {
          throw new Error(`no ${item}`)
        }
      }, /no 0/)
      assert.equal((await log()).at(-1), 'end')
      const silent = project.stream(null, 'wait')
      const waiting = silent.next()
      await sleep(30)
      await silent.return(undefined)
      assert.deepEqual(await waiting, { done: true, value: undefined })
      assert.deepEqual(await log(), ['end'])
    })

    it('takes and gives tensors of any size, each as it was when it was yielded', async () => {
      const x = tensor(Float32Array.of(1, 2))
      const items = await collect(project.stream(null, 'count', { to: 3, x }))
      assert.deepEqual(items, [
        tensor(Float32Array.of(1, 2)),
        tensor(Float32Array.of(2, 3)),
        tensor(Float32Array.of(3, 4)),
      ])
      const large = project.stream<undefined, { x: Tensor<Float32Array>; n: bigint }>(
        null,
        'large_items',
      )
      let count = 0
      for await (const item of large) {
        count += 1
        assert.equal(item.n, BigInt(count))
        assert.ok(item.x.data.length === 50_000 && item.x.data.every((value) => value === count))
      }
      assert.equal(count, 3)
    })

    it('lets other calls and other streams take turns between two items', async () => {
      await using model = await project.initModel()
      const order: string[] = []
      const read = async (name: string) => {
        const input = { to: 40, seconds: 0.002 }
        for await (const item of project.stream<object, bigint>(null, 'count', input)) {
          order.push(`${name}${item}`)
        }
      }
      const train = async () => {
        for (let window = 0; window < 5; window++) {
          const batches = [{ payload: { return: "{'examples': 1}" } }]
          await project.trainWindow({ model, batches })
          order.push('window')
        }
      }
      await Promise.all([read('a'), read('b'), train()])
      const lastWindow = order.lastIndexOf('window')
      const place = (name: string) => order.indexOf(name)
      assert.ok(lastWindow < place('a39') && lastWindow < place('b39'), order.join(' '))
      assert.ok(place('a0') < place('b39') && place('b0') < place('a39'), order.join(' '))
      for (let item = 0; item < 35; item++) {
        assert.ok(place(`a${item}`) < place(`b${item + 5}`), order.join(' '))
        assert.ok(place(`b${item}`) < place(`a${item + 5}`), order.join(' '))
      }
    })

    it('is what ReadableStream.from and a Response take', async () => {
      async function* text(): AsyncGenerator<Uint8Array> {
        for await (const item of project.stream<object, bigint>(null, 'count', { to: 5 })) {
          yield new TextEncoder().encode(`${item};`)
        }
      }
      const response = new Response(ReadableStream.from(text()) as never)
      assert.equal(await response.text(), '0;1;2;3;4;')
      await log()
      const readable = ReadableStream.from(project.stream(null, 'count', { to: 1000 }))
      const reader = readable.getReader()
      assert.equal((await reader.read()).value, 0n)
      await reader.cancel()
      assert.equal((await log()).at(-1), 'end')
    })

    it('refuses what is no generator, no hook, no read-ahead, and checks items by a schema', async () => {
      await assert.rejects(project.stream(null, 'decorated').next(), (error) => {
        assert.ok(error instanceof ProtocolError)
        assert.match(error.message, /decorated must return a generator, or another iterator, got 7/)
        return true
      })
      await assert.rejects(project.stream(null, 'hidden', 1).next(), HookMissingError)
      assert.throws(() => project.stream(null, 'count', {}, { readAhead: -1 }), ValueError)
      assert.throws(() => project.stream(null, 'count', {}, { timeoutMs: NaN }), ValueError)
      const output = z.string()
      const numbers = project.stream(null, 'count', { to: 5 }, { output })
      await assert.rejects(numbers.next(), ConfigError)
      assert.equal((await log()).at(-1), 'end')
    })

    it('says so when a generator yields where it must end', async () => {
      const stream = project.stream(null, 'stubborn', undefined, { readAhead: 0 })
      await stream.next()
      await assert.rejects(stream.return(undefined), (error) => {
        assert.ok(error instanceof HookRaisedError)
        assert.match(error.message, /ignored GeneratorExit/)
        return true
      })
    })

    it('ends what was dropped without a word when it is garbage-collected', async () => {
      const controller = new AbortController()
      const options = { signal: controller.signal, timeoutMs: 60_000, readAhead: 0 }
      await (async () => {
        await project.stream(null, 'count', { to: 1000 }, options).next()
      })()
      const seen: string[] = []
      for (let tries = 0; tries < 100 && seen.at(-1) !== 'end'; tries++) {
        globalThis.gc?.()
        await sleep(10)
        seen.push(...(await log()))
      }
      assert.equal(seen.at(-1), 'end')
    })

    it('leaves nothing behind, wherever streams are abandoned', async function () {
      this.timeout(120_000)
      const controller = new AbortController()
      const leave: readonly ((stream: AsyncGenerator<unknown, undefined>) => Promise<unknown>)[] = [
        (stream) => stream.return(undefined),
        async (stream) => {
          const first = stream.next()
          await stream.return(undefined)
          await first
        },
        async (stream) => {
          await stream.next()
          await stream.return(undefined)
        },
        async (stream) => {
          await collect(stream)
        },
      ]
      for (let round = 0; round < 50; round++) {
        for (const way of leave) {
          const { signal } = controller
          await way(project.stream(null, 'count_async', { to: 3 }, { signal }))
          await way(project.stream(null, 'count', { to: 3 }, { signal, readAhead: 0 }))
        }
      }
      const counts = await project.call<undefined, Record<string, bigint>>(null, 'left_behind')
      assert.deepEqual(counts, { streams: 0n, results: 0n, generators: 0n })
    })
  })
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
