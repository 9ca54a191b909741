import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import {
  AbortError,
  DeadlineError,
  EmbeddedRuntime,
  SubprocessRuntime,
  type Progress,
} from '../../lib/index.js'
import { describeControl } from './shared/control-suite.js'
import { doing, workloadRoot } from '../support/workloads.js'
import { failure, plain } from './shared/runtime-suite.js'

describeControl('EmbeddedRuntime', () => EmbeddedRuntime.start())
describeControl('SubprocessRuntime', () => SubprocessRuntime.start())

describe('the count of models', () => {
  it('follows those that are made, released and closed with their session', async () => {
    await using runtime = await EmbeddedRuntime.start()
    const before = runtime.stats().models ?? NaN
    const session = await runtime.openWorkload(plain)
    for (let i = 0; i < 3; i++) await session.call('init_model', { device: 'cpu' })
    assert.equal(runtime.stats().models, before + 3)
    await session.call('release_model', { model_id: 'm1' })
    assert.equal(runtime.stats().models, before + 2)
    await session.close()
    assert.equal(runtime.stats().models, before)
  })
})

describe('a cancel', () => {
  it('ends its call also when it comes while a model is dropped before that', async () => {
    await using runtime = await EmbeddedRuntime.start()
    const session = await runtime.openWorkload(plain)
    for (let i = 0; i < 2; i++) await session.call('init_model', { device: 'cpu' })
    const lingering = 'type("Lingering", (), {"__del__": lambda self: time.sleep(0.2)})()'
    await session.call('train_window', {
      model_id: 'm2',
      batches: [{ payload: { do: `state["lingering"] = ${lingering}` } }],
    })
    const first = session.call('train_window', doing('time.sleep(0.05)'))
    session.releaseModel('m2')
    const abort = new AbortController()
    const ticks = 'for _ in range(400): time.sleep(0.005)'
    const second = failure(session.call('train_window', doing(ticks), { signal: abort.signal }))
    await first
    await delay(50)
    const began = performance.now()
    abort.abort()
    assert.ok((await second) instanceof AbortError)
    const took = performance.now() - began
    assert.ok(took < 1000, `${took} ms`)
  })
})

describe('a deadline that passes in C code', () => {
  const stackIsKnown = process.platform === 'linux' ? it : it.skip
  const places = {
    'with the GIL': 'sum(range(50_000_000))',
    'without it': 'import hashlib; hashlib.pbkdf2_hmac("sha256", b"", b"", 1_000_000)',
    'of a hook that cleans up': `
try: time.sleep(20)
finally:
    end = time.monotonic() + 0.8
    while time.monotonic() < end: time.sleep(0.01)`,
  }
  for (const [place, statement] of Object.entries(places)) {
    stackIsKnown(`says where Python is: ${place}`, async () => {
      await using runtime = await EmbeddedRuntime.start()
      const session = await runtime.openWorkload(plain)
      await session.call('init_model', { device: 'cpu' })
      const error = await failure(session.call('train_window', doing(statement), { timeoutMs: 50 }))
      assert.ok(error instanceof DeadlineError)
      assert.ok(error.overdue)
      assert.match(
        error.message,
        /has not left it yet\. It is in:\n {2}File "<string>", line \d+ in /,
      )
      assert.match(error.message, /plain\.py", line \d+ in train_window/)
      assert.doesNotMatch(error.message, /_host/)
      while (runtime.state === 'overdue') await delay(10)
      await session.call('hello')
    })
  }
})

describe('progress that JavaScript cannot hold', () => {
  it('is left out, and the call continues', async () => {
    await using runtime = await EmbeddedRuntime.start()
    const session = await runtime.openWorkload({
      factory: 'value_probe:create_workload',
      moduleSearchRoots: [workloadRoot],
    })
    const seen: Progress[] = []
    // Two NaN are two keys of a dict and one of a Map.
    const tell =
      '__import__("_torchbed_bridge").progress(1, None, {float("nan"): 1, float("nan"): 2})'
    const params = { expression: `[${tell}, sleep(0.1), 7][-1]`, value: null }
    const answer = await session.call('probe', params, { onProgress: (told) => seen.push(told) })
    assert.deepEqual([answer, seen], [7n, []])
  })

  it('does not hold up what is told afterwards', async () => {
    await using runtime = await EmbeddedRuntime.start()
    const session = await runtime.openWorkload({
      factory: 'value_probe:create_workload',
      moduleSearchRoots: [workloadRoot],
    })
    const bridge = '__import__("_torchbed_bridge")'
    const refused = `${bridge}.progress(1, None, {float("nan"): 1, float("nan"): 2})`
    const tell = `${bridge}.progress(2, None, {})`
    const params = { expression: `[${refused}, sleep(0.05), ${tell}, sleep(10)]`, value: null }
    const abort = new AbortController()
    const call = session.call('probe', params, {
      signal: abort.signal,
      onProgress: () => abort.abort(),
    })
    await assert.rejects(call, AbortError)
  })
})
