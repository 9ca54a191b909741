/** Many models become one: what the merge hooks are given, and what becomes of their answers. */
import assert from 'node:assert/strict'
import {
  EmbeddedRuntime,
  HookRaisedError,
  TorchProject,
  ValueError,
  type ModelCandidate,
  type ModelHandle,
} from '../../lib/index.js'
import { HandleReleasedError, HookMissingError } from '../../lib/errors.js'
import { workloadRoot } from '../support/workloads.js'
import { batch, modelsInPython, openScripted, seen, type Hooks } from './support.js'

/** A project with a base model of 0 steps, and candidates of 1 and 3 steps. */
async function candidatesOf(hooks: Hooks = {}) {
  const runtime = await EmbeddedRuntime.start()
  const project = await openScripted(hooks, {}, { runtime })
  const base = await project.initModel()
  const candidates: ModelCandidate[] = []
  for (const [index, steps] of [1, 3].entries()) {
    const model = await project.initModel()
    await project.trainWindow({ model, batches: Array.from({ length: steps }, () => batch) })
    candidates.push({
      peer_id: `peer-${index + 1}`,
      head_id: `head-${index + 1}`,
      artifact_id: `artifact-${index + 1}`,
      model,
      sample_weight: steps,
      quality_weight: 1,
    })
  }
  const close = async () => {
    await project.close()
    await runtime.close()
  }
  return { runtime, project, base, candidates, [Symbol.asyncDispose]: close }
}

async function stepsOf(project: TorchProject, model: ModelHandle): Promise<unknown> {
  return (await project.evaluate(model, 'Test')).metrics.steps
}

describe('merging candidates', () => {
  it('gives a new model, and leaves base and candidates as they were', async () => {
    await using parts = await candidatesOf()
    const { project, base, candidates } = parts
    await using merged = await project.mergeCandidateModels(base, candidates, 'WeightedMean')
    assert.ok(merged)
    assert.equal(await stepsOf(project, merged), 2.5)
    assert.equal(await stepsOf(project, base), 0n)
    for (const { model, sample_weight } of candidates) {
      assert.equal(await stepsOf(project, model), BigInt(sample_weight))
      assert.notEqual(model.modelId, merged.modelId)
    }
  })

  it('shows the hook the states, the names and the weights, whole weights as floats too', async () => {
    await using parts = await candidatesOf({
      merge_candidate_models: 'see(args[1]) or see(args[2]) or None',
    })
    const { project, base, candidates } = parts
    assert.equal(await project.mergeCandidateModels(base, candidates, 'QualityWeightedEma'), null)
    const custom = { Custom: 'median' }
    assert.equal(await project.mergeCandidateModels(base, [], custom), null)
    const candidate = (number: number, steps: number) =>
      `{'peer_id': 'peer-${number}', 'head_id': 'head-${number}', 'artifact_id': 'artifact-${number}', ` +
      `'model': {'device': 'python-plain', 'steps': ${steps}}, ` +
      `'sample_weight': ${steps}.0, 'quality_weight': 1.0}`
    assert.deepEqual(String(await seen(project)).split('\n'), [
      `[${candidate(1, 1)}, ${candidate(2, 3)}]`,
      "'QualityWeightedEma'",
      '[]',
      "{'Custom': 'median'}",
    ])
  })

  it('is null when the workload declines, and makes no model then', async () => {
    await using parts = await candidatesOf({ merge_candidate_models: 'None' })
    const { runtime, project, base, candidates } = parts
    const before = await modelsInPython(runtime)
    assert.equal(await project.mergeCandidateModels(base, candidates, 'Ema'), null)
    assert.equal(await modelsInPython(runtime), before)
  })

  for (const field of ['sample_weight', 'quality_weight'] as const) {
    for (const weight of [-1, -Number.MIN_VALUE, NaN, Infinity, -Infinity]) {
      it(`refuses a ${field} of ${weight} before the hook is asked, and names its peer`, async () => {
        await using parts = await candidatesOf({ merge_candidate_models: 'fail("asked")' })
        const { project, base, candidates } = parts
        const bad = candidates.map((it, index) => (index === 1 ? { ...it, [field]: weight } : it))
        await assert.rejects(project.mergeCandidateModels(base, bad, 'WeightedMean'), (error) => {
          assert.ok(error instanceof ValueError)
          assert.equal(error.path, field)
          assert.ok(error.message.includes(`the model of peer-2: its ${field} is ${weight}`))
          return true
        })
      })
    }
  }

  it('takes a weight of zero', async () => {
    await using parts = await candidatesOf()
    const { project, base, candidates } = parts
    const weighed = candidates.map((it, index) => ({ ...it, sample_weight: index }))
    await using merged = await project.mergeCandidateModels(base, weighed, 'WeightedMean')
    assert.ok(merged)
    assert.equal(await stepsOf(project, merged), 3)
  })

  it('refuses a candidate that was released', async () => {
    await using parts = await candidatesOf()
    const { project, base, candidates } = parts
    await candidates[1]?.model.release()
    await assert.rejects(
      project.mergeCandidateModels(base, candidates, 'WeightedMean'),
      HandleReleasedError,
    )
  })

  it('that fails in the hook is a typed error and leaves no model behind', async () => {
    await using parts = await candidatesOf({ merge_candidate_models: 'fail("shapes differ")' })
    const { runtime, project, base, candidates } = parts
    const before = await modelsInPython(runtime)
    await assert.rejects(
      project.mergeCandidateModels(base, candidates, 'WeightedMean'),
      (error) => error instanceof HookRaisedError && error.message.includes('shapes differ'),
    )
    assert.equal(await modelsInPython(runtime), before)
  })

  it('needs the hooks that a validator and a trainer need, and names the one that is missing', async () => {
    await using project = await TorchProject.open({
      runtime: { workload_factory: 'plain:create_workload', module_search_roots: [workloadRoot] },
    })
    await using one = await project.initModel()
    await using two = await project.initModel()
    const missing = (hook: string) => (error: Error) =>
      error instanceof HookMissingError && error.message.includes(`no hook ${hook}`)
    await assert.rejects(
      project.mergeCandidateModels(one, [], 'Ema'),
      missing('merge_candidate_models'),
    )
    await assert.rejects(
      project.applySingleRootEma(one, two, 'Ema'),
      missing('apply_single_root_ema'),
    )
    await assert.rejects(
      project.reconcileCanonicalModel(one, two, 'Replace'),
      missing('reconcile_canonical_model'),
    )
  })
})

describe('the single root EMA', () => {
  it('changes and returns the merged model; the base stays', async () => {
    await using parts = await candidatesOf()
    const { project, base, candidates } = parts
    const [, { model: merged } = { model: base }] = candidates
    assert.equal(await project.applySingleRootEma(base, merged, 'QualityWeightedEma'), merged)
    assert.equal(await stepsOf(project, merged), 1.5)
    assert.equal(await stepsOf(project, base), 0n)
  })

  it('keeps the merged model that the hook changed in place', async () => {
    await using parts = await candidatesOf({
      apply_single_root_ema: 'see(args[2]) or args[1].update(steps=9)',
    })
    const { project, base, candidates } = parts
    const [{ model: merged } = { model: base }] = candidates
    await project.applySingleRootEma(base, merged, 'QualityWeightedEma')
    assert.equal(await stepsOf(project, merged), 9n)
    assert.equal(await seen(project), "'QualityWeightedEma'")
  })
})

describe('reconciling with a canonical model', () => {
  const hooks = { reconcile_canonical_model: 'see(args) or usual(*args)' }

  it('gives the hook "Replace" as it is', async () => {
    await using parts = await candidatesOf(hooks)
    const { project, base, candidates } = parts
    const [{ model: local } = { model: base }] = candidates
    assert.equal(await project.reconcileCanonicalModel(local, base, 'Replace'), base)
    const state = (steps: number) => `{'device': 'python-plain', 'steps': ${steps}}`
    assert.equal(await seen(project), `(${state(1)}, ${state(0)}, 'Replace')`)
  })

  it('gives the hook the weight of a root EMA as a float, also when it is whole', async () => {
    await using parts = await candidatesOf({
      reconcile_canonical_model: 'see(args[2]) or {"device": "new", "steps": 7}',
    })
    const { project, base, candidates } = parts
    const [{ model: local } = { model: base }] = candidates
    for (const canonical_weight of [0.25, 1]) {
      await project.reconcileCanonicalModel(local, base, { RootEma: { canonical_weight } })
    }
    assert.equal(
      await seen(project),
      "{'RootEma': {'canonical_weight': 0.25}}\n{'RootEma': {'canonical_weight': 1.0}}",
    )
    // The hook's answer stands in for the canonical model.
    assert.equal(await stepsOf(project, base), 7n)
    assert.equal(await stepsOf(project, local), 1n)
  })
})
