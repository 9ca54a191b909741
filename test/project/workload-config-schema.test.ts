/** A workload config that a schema of the user's types, reads and completes. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { z } from 'zod'
import {
  ConfigError,
  PyFloat,
  TorchProject,
  type StandardSchema,
  type TorchWorkloadConfig,
} from '../../lib/index.js'
import { workloadRoot } from '../support/workloads.js'
import { returns } from './support.js'

const factory = { workload_factory: 'plain:create_workload', module_search_roots: [workloadRoot] }
/** Nothing could import it: an error of the config is seen before Python runs. */
const nowhere = { workload_factory: 'nowhere:nothing' }

const Config = z.strictObject({
  layers: z.array(z.int().positive()),
  rate: z
    .number()
    .default(1)
    .transform((rate) => new PyFloat(rate)),
  seed: z.int().default(7),
})

/** What the factory was called with, as Python prints it. */
async function factoryGot(project: TorchProject): Promise<unknown> {
  await using model = await project.initModel()
  const batches = [returns('{"got": repr(workload.config)}')]
  return (await project.trainWindow({ model, batches })).stats.got
}

/** The issues of the {@link ConfigError} that opening rejects with. */
async function issuesOf(opening: Promise<TorchProject>): Promise<ConfigError['issues']> {
  const error: unknown = await opening.then(
    () => assert.fail('it opened'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof ConfigError, String(error))
  return error.issues
}

describe('a workload config with a schema', () => {
  it('reaches the factory with the defaults and the transformed values of the schema', async () => {
    await using project = await TorchProject.open(
      { runtime: { ...factory, workload_config: { layers: [8, 4] } } },
      { workloadConfigSchema: Config },
    )
    assert.equal(await factoryGot(project), "{'layers': [8, 4], 'rate': 1.0, 'seed': 7}")
    assert.deepEqual(project.config.runtime.workload_config, {
      layers: [8, 4],
      rate: new PyFloat(1),
      seed: 7,
    })
  })

  it('may be left out where the schema has a value for none', async () => {
    await using project = await TorchProject.open(
      { runtime: factory },
      { workloadConfigSchema: z.object({ seed: z.int().default(7) }).prefault({}) },
    )
    assert.equal(await factoryGot(project), "{'seed': 7}")
  })

  it('is refused before Python runs, with every problem at its path', async () => {
    const given: unknown = { layers: [8, 'wide', 0.5], rate: '1', sed: 7 }
    const config = { runtime: { ...nowhere, workload_config: given as z.input<typeof Config> } }
    const issues = await issuesOf(TorchProject.open(config, { workloadConfigSchema: Config }))
    assert.deepEqual(
      issues.map(({ path }) => path),
      [
        'runtime.workload_config.layers[1]',
        'runtime.workload_config.layers[2]',
        'runtime.workload_config.rate',
        'runtime.workload_config',
      ],
    )
    assert.match(issues[0]!.message, /expected number, received string/)
    assert.match(issues[3]!.message, /"sed"/)
  })

  it('is read by any library of Standard Schema, one that takes its time too', async () => {
    const slow: StandardSchema<{ seed: number }> = {
      '~standard': {
        version: 1,
        vendor: 'none',
        validate: async (value) => {
          await new Promise((resolve) => setImmediate(resolve))
          const { seed } = value as { seed: number }
          return seed > 0
            ? { value: { seed } }
            : { issues: [{ message: 'too small', path: [{ key: 'seed' }] }] }
        },
      },
    }
    await using project = await TorchProject.open(
      { runtime: { ...factory, workload_config: { seed: 3 } } },
      { workloadConfigSchema: slow },
    )
    assert.equal(await factoryGot(project), "{'seed': 3}")
    const bad = { runtime: { ...nowhere, workload_config: { seed: 0 } } }
    assert.deepEqual(await issuesOf(TorchProject.open(bad, { workloadConfigSchema: slow })), [
      { path: 'runtime.workload_config.seed', message: 'too small' },
    ])
  })

  for (const [what, none] of Object.entries({
    'a plain object': { seed: 7 },
    'a schema of another version': { '~standard': { version: 2, validate: () => ({ value: 1 }) } },
    null: null,
  })) {
    it(`is refused with ${what} for a schema, and told which ones are taken`, async () => {
      const options = { workloadConfigSchema: none as unknown as StandardSchema<number> }
      const config: TorchWorkloadConfig<number> = { runtime: { ...nowhere, workload_config: 1 } }
      const [issue] = await issuesOf(TorchProject.open(config, options))
      assert.equal(issue?.path, 'workloadConfigSchema')
      assert.match(issue.message, /Standard Schema, version 1, got .+ pass a schema of zod 4/)
    })
  }

  it('costs a program without a schema no import of zod', () => {
    assert.match(importWithoutZod('index.js'), /^loaded$/m)
    assert.match(importWithoutZod('zod.js'), /zod was imported/)
  })
})

/** What Node.js says when it imports a door of the library while any import of zod fails. */
function importWithoutZod(door: string): string {
  const hook = `export const resolve = (specifier, context, next) => {
    if (/^zod\\b/.test(specifier)) throw new Error('zod was imported')
    return next(specifier, context)
  }`
  const script = `
    import { register } from 'node:module'
    register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hook)}))
    await import(${JSON.stringify(new URL(`../../lib/${door}`, import.meta.url).href)})
    console.log('loaded')`
  const end = spawnSync(process.execPath, ['--input-type=module', '-e', script])
  return String(end.stdout) + String(end.stderr)
}
