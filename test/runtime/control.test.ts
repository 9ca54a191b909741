import assert from 'node:assert/strict'
import { EmbeddedRuntime, SubprocessRuntime } from '../../lib/index.js'
import { describeControl } from './shared/control-suite.js'
import { plain } from './shared/runtime-suite.js'

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
