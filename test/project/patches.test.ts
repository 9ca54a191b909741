/** Runtime patches: what a workload is given, and what its answers become. */
import assert from 'node:assert/strict'
import { AbortError, ConfigError, RuntimeClosedError, TorchProject } from '../../lib/index.js'
import { runtimePatch, type RuntimePatch } from '../../lib/schema/index.js'
import { example } from '../support/cli.js'
import { withTorch, workloadRoot } from '../support/workloads.js'
import { openScripted, seen } from './support.js'

const rate = runtimePatch({ class: 'Hot', summary: 'lr', values: { learning_rate: 0.0002 } })

describe('a runtime patch', () => {
  for (const [answer, outcome] of [
    ['"Applied"', 'Applied'],
    ['"RequiresRestart"', 'RequiresRestart'],
    ['{"Rejected": "too fast"}', { Rejected: 'too fast' }],
  ] as const) {
    it(`to which the hook answers ${answer} has that outcome`, async () => {
      await using project = await openScripted({ apply_patch: answer })
      assert.deepEqual(await project.applyPatch(rate), outcome)
    })
  }

  async function rejection(hooks: Record<string, string>): Promise<string> {
    await using project = await openScripted(hooks)
    const outcome = await project.applyPatch(rate)
    assert.ok(typeof outcome === 'object')
    return outcome.Rejected
  }

  it('is rejected with the reason when the hook raises', async () => {
    assert.match(
      await rejection({ apply_patch: 'fail("no such knob")' }),
      /apply_patch.*no such knob/,
    )
  })

  it('is rejected when the hook answers nonsense', async () => {
    assert.match(await rejection({ apply_patch: '"Perhaps"' }), /apply_patch must return.*Perhaps/)
  })

  it('is rejected when there is no hook, in the words of the reference', async () => {
    await using project = await TorchProject.open({
      runtime: { workload_factory: 'plain:create_workload', module_search_roots: [workloadRoot] },
    })
    assert.deepEqual(await project.applyPatch(rate), {
      Rejected: 'python workload does not support runtime patches',
    })
  })

  it('arrives as the untagged encoding of spec formats#untagged-values gives it, kinds of numbers kept', async () => {
    await using project = await openScripted({ apply_patch: 'see(args[0]) or "Applied"' })
    const patch = runtimePatch({
      class: 'Warm',
      summary: 'many',
      values: { a: true, b: 64n, c: 2, d: 0.0002, e: 'text', f: ['x', 'y'] },
      required_client_capabilities: ['z', 'a'],
    })
    await project.applyPatch(patch)
    assert.equal(
      await seen(project),
      `{'patch_id': '${patch.patch_id}', 'class': 'Warm', 'summary': 'many', ` +
        "'values': {'a': True, 'b': 64, 'c': 2.0, 'd': 0.0002, 'e': 'text', 'f': ['x', 'y']}, " +
        "'required_client_capabilities': ['a', 'z']}",
    )
  })

  it('read from JSON arrives the same', async () => {
    await using project = await openScripted({ apply_patch: 'see(args[0]["values"]) or "Applied"' })
    const { RuntimePatch } = await import('../../lib/schema/index.js')
    const text = `{"patch_id":"id","class":"Hot","summary":"lr",
      "values":{"rate":0.0002,"steps":64,"whole":1.0},"required_client_capabilities":[]}`
    await project.applyPatch(RuntimePatch.fromJson(text))
    assert.equal(await seen(project), "{'rate': 0.0002, 'steps': 64, 'whole': 1.0}")
  })

  it('that is aborted is thrown, not rejected', async () => {
    await using project = await openScripted({ apply_patch: 'time.sleep(0.05) or "Applied"' })
    await assert.rejects(project.applyPatch(rate, { signal: AbortSignal.timeout(10) }), AbortError)
    await assert.rejects(project.applyPatch(rate, { signal: AbortSignal.abort() }), AbortError)
  })

  it('for a closed project is thrown, not rejected', async () => {
    const project = await openScripted({ apply_patch: '"Applied"' })
    await project.close()
    await assert.rejects(project.applyPatch(rate), RuntimeClosedError)
  })

  it('that is malformed is thrown with its place, and the workload never sees it', async () => {
    await using project = await openScripted({ apply_patch: 'see(args[0]) or "Applied"' })
    const values = { learning_rate: null } as unknown as RuntimePatch['values']
    await assert.rejects(
      project.applyPatch({ ...rate, values }),
      (error) => error instanceof ConfigError && error.issues[0]?.path === 'values.learning_rate',
    )
    assert.equal(await seen(project), '')
  })
})

;(withTorch ? describe : describe.skip)('a runtime patch for the digits example', () => {
  const config = {
    runtime: {
      workload_factory: 'digits_workload:create_workload',
      module_search_roots: [example('digits')],
    },
  }

  it('sets the learning rate, which the example of the reference always rejects', async () => {
    await using project = await TorchProject.open(config)
    assert.equal(await project.applyPatch(rate), 'Applied')
  })

  it('is rejected with a reason when it sets something else, or nonsense', async () => {
    await using project = await TorchProject.open(config)
    for (const [values, reason] of [
      [{ momentum: 0.9 }, /momentum/],
      [{ learning_rate: 2 }, /between 0 and 1/],
      [{ learning_rate: 'fast' }, /fast/],
    ] as const) {
      const outcome = await project.applyPatch(runtimePatch({ class: 'Hot', summary: 's', values }))
      assert.ok(typeof outcome === 'object')
      assert.match(outcome.Rejected, reason)
    }
  })
})
