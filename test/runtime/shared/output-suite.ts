/** What Python prints, whoever listens, whichever runtime it runs in. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { EventEmitter } from 'node:events'
import type { PythonRuntime, WorkloadSession } from '../../../lib/index.js'
import type { LineEnd } from '../../../lib/runtime/line-splitter.js'
import type { OutputEvents } from '../../../lib/runtime/output.js'
import { doing } from '../../support/workloads.js'
import { plain } from './runtime-suite.js'

type Runtime = PythonRuntime & EventEmitter<OutputEvents>

/** Describes an implementation by what `start` gives. */
export function describeOutput(name: string, start: () => Promise<Runtime>): void {
  describe(`what Python prints in ${name}`, () => {
    let runtime: Runtime
    let session: WorkloadSession

    before(async () => {
      runtime = await start()
      session = await runtime.openWorkload(plain)
      await session.call('init_model', { device: 'cpu' })
    })
    after(() => runtime.close())
    afterEach(() => runtime.removeAllListeners())

    const run = (statement: string) => session.call('train_window', doing(statement))
    const BAR = `
for i in range(20000):
    sys.stderr.write("\\r%6d/20000 [==================>          ] 12.3it/s" % (i + 1)); sys.stderr.flush()`

    it('as a progress bar arrives while it runs, and whole before the call ends', async () => {
      let printed = ''
      let ticks = 0
      runtime.on('stderr', (line: string, end: LineEnd) => (printed += line + end))
      const timer = setInterval(() => ticks++, 5)
      const began = performance.now()
      await run(BAR)
      const took = performance.now() - began
      clearInterval(timer)
      assert.ok(took < 10_000, `${took} ms`)
      assert.ok(ticks > took / 200, `${ticks} ticks in ${took} ms`)
      const expected = Array.from(
        { length: 20_000 },
        (_, i) => `\r${String(i + 1).padStart(6)}/20000 [==================>          ] 12.3it/s`,
      )
      assert.equal(printed, expected.join(''))
    })

    it('as the latest state of a bar does not wait for the next one', async () => {
      const seen: string[] = []
      runtime.on('stdout', (line: string) => seen.push(line))
      const call = run('print("\\r 42%", end="", flush=True); time.sleep(1)')
      const until = performance.now() + 900
      while (!seen.includes(' 42%') && performance.now() < until) await delay(10)
      assert.ok(seen.includes(' 42%'))
      await call
    })

    it('without an end is given out at the end of the call, and what follows later', async () => {
      const seen: [string, LineEnd][] = []
      runtime.on('stdout', (line: string, end: LineEnd) => seen.push([line, end]))
      await run('print("one", end="")')
      assert.deepEqual(seen, [['one', '']])
      await run('print(" two")')
      assert.deepEqual(seen, [
        ['one', ''],
        [' two', '\n'],
      ])
    })

    it('reaches every listener, although one of them throws and another goes', async () => {
      const uncaught = process.listeners('uncaughtException')
      process.removeAllListeners('uncaughtException')
      const thrown: unknown[] = []
      process.on('uncaughtException', (error) => thrown.push(error.message))
      const seen: string[] = []
      try {
        runtime.once('stdout', (line: string) => seen.push(`once ${line}`))
        runtime.on('stdout', (line: string) => {
          throw new Error(`no ${line}`)
        })
        runtime.on('stdout', (line: string) => seen.push(line))
        await run('print("a\\nb")')
        await delay(10)
      } finally {
        process.removeAllListeners('uncaughtException')
        for (const listener of uncaught) process.on('uncaughtException', listener)
      }
      assert.deepEqual(seen, ['once a', 'a', 'b'])
      assert.deepEqual(thrown, ['no a', 'no b'])
    })

    it('in great amounts, to a thread that is busy, is not lost and keeps no great memory', async function () {
      this.timeout(60_000)
      let units = 0
      runtime.on('stdout', (line: string, end: LineEnd) => {
        units += line.length + end.length
        const until = performance.now() + 0.5
        while (performance.now() < until);
      })
      const before = process.memoryUsage().rss
      let most = before
      const timer = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20)
      await run('for _ in range(600): sys.stdout.write("x" * 99_999 + "\\n")')
      clearInterval(timer)
      assert.equal(units, 60_000_000)
      assert.ok(most - before < 40e6, `${(most - before) / 1e6} MB`)
    })
  })
}
