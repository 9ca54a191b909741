/** Real PyTorch in this process: the digits example's workload, unchanged, and others. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  AbortError,
  EmbeddedRuntime,
  findPython,
  HookRaisedError,
  TorchProject,
} from '../../lib/index.js'
import { MetricValueError } from '../../lib/errors.js'
import type { PythonBatchRef } from '../../lib/schema/index.js'
import { FsArtifactStore } from '../../lib/store/index.js'
import { canonicalLineage, readCanonicalHead } from '../../lib/store/canonical-head.js'
import { example, jsonEvents, torchbed } from '../support/cli.js'
import { withTorch, workloadRoot } from '../support/workloads.js'

/** Each imports torch anew; TORCHBED_FULL=1 repeats them often enough to meet rare races. */
const EXITS = process.env.TORCHBED_FULL === '1' ? 20 : 4

/** The artifact ids that the digits example promoted when they were recorded, the genesis first. */
const digitsIds = {
  recordedWith: 'x86_64 2.13.0 AVX2',
  Replace: [
    '122027efa772ce2c445aaffa06344dbb1aea7aa1f67708da156b0e4d1a54d698cacf',
    '122086c070360c40d0bb124044b69f2e7da1a7b172d6dd680a6ba9b24042d193d5da',
    '12202a9bfba4131fe18c437a7189ae8476fbaad7bea63a77a4b7119bd88fc612309a',
    '1220cafd8ec873c9a461df65ced263b865deaefaf2e6a98ed3f24b69a1ee9e260646',
  ],
  RootEma: [
    '122027efa772ce2c445aaffa06344dbb1aea7aa1f67708da156b0e4d1a54d698cacf',
    '122086c070360c40d0bb124044b69f2e7da1a7b172d6dd680a6ba9b24042d193d5da',
    '1220d15b236c991d6837dea32a37f4fcbf0c5d98e41d7de64965b9b429441dfa45a7',
    '1220ee85a9b02b62096ef8e1e56dd3f474d7588294e48077259d9e669950d15ee4e2',
  ],
}

const library = import.meta.resolve('../../lib/index.js')

;(withTorch ? describe : describe.skip)('training with PyTorch', () => {
  let folder: string
  let data: string
  let batches: PythonBatchRef[]
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-'))
    data = join(folder, 'data')
    const { executable } = await findPython()
    const prepare = example('digits', 'prepare.py')
    await promisify(execFile)(executable, [prepare, '--out', data])
    batches = await batchesOf(join(data, 'train'))
  })
  after(() => rm(folder, { recursive: true }))

  async function batchesOf(root: string): Promise<PythonBatchRef[]> {
    const names = (await readdir(root)).filter((name) => name.endsWith('.safetensors')).sort()
    return names.map((name, ordinal) => ({
      kind: 'cached_microshard_group',
      shard_paths: [join(root, name)],
      microshard_ids: [name],
      ordinals: [ordinal],
      bytes_len: 1,
    }))
  }

  const loading = {
    runtime: { workload_factory: 'loading:create_workload', module_search_roots: [workloadRoot] },
  }
  const digits = () => ({
    runtime: {
      workload_factory: 'digits_workload:create_workload',
      module_search_roots: [example('digits')],
      workload_config: { train_root: join(data, 'train'), test_root: join(data, 'test') },
    },
  })

  it('trains a model of torchbed.workload.Module, and brings it back from a file', async () => {
    await using project = await TorchProject.open(digits())
    await using model = await project.initModel()
    let accuracy = 0
    for (let window = 0; window < 4; window++) {
      await project.trainWindow({ model, batches })
      accuracy = (await project.evaluate(model, 'Test')).metrics.accuracy as number
    }
    assert.ok(accuracy >= 0.95, `accuracy ${accuracy}`)

    await using loaded = await project.initModel()
    const path = join(folder, 'model.safetensors')
    await project.materializeModelArtifactFile(model, path)
    await project.loadModelArtifactFile(loaded, path)
    assert.equal((await project.evaluate(loaded, 'Test')).metrics.accuracy, accuracy)
  })

  it('runs a DataLoader with two worker processes', async () => {
    await using project = await TorchProject.open(loading)
    await using model = await project.initModel()
    const { stats } = await project.trainWindow({ model, batches: batches.slice(0, 2) })
    assert.equal(stats.examples_processed, 180n)
  })

  it('refuses a metric that is a tensor, with a remedy', async () => {
    await using project = await TorchProject.open(loading)
    await using model = await project.initModel()
    await assert.rejects(project.evaluate(model, 'Test'), (error: unknown) => {
      assert.ok(error instanceof MetricValueError)
      assert.match(error.message, /unsupported metric value .*loss.*\.item\(\)/s)
      return true
    })
  })

  for (const [title, damage] of [
    ['truncated', (bytes: Buffer) => bytes.subarray(0, 100)],
    ['corrupt', (bytes: Buffer) => Buffer.from(bytes).fill(0xff, 8, 40)],
    ['empty', () => Buffer.alloc(0)],
  ] as const) {
    it(`makes a typed error of a ${title} shard, and trains on afterwards`, async () => {
      await using project = await TorchProject.open(digits())
      await using model = await project.initModel()
      const good = batches[0]!
      assert.ok(good.kind === 'cached_microshard_group')
      const path = join(folder, `${title}.safetensors`)
      await writeFile(path, damage(await readFile(good.shard_paths[0]!)))
      await assert.rejects(
        project.trainWindow({ model, batches: [{ ...good, shard_paths: [path] }] }),
        HookRaisedError,
      )
      assert.ok(await project.trainWindow({ model, batches: [good] }))
    })
  }

  it('cancels in the middle of a window, and the model can be used afterwards', async () => {
    await using project = await TorchProject.open(digits())
    await using model = await project.initModel()
    const many = Array.from({ length: 200 }, () => batches).flat()
    const signal = AbortSignal.timeout(150)
    const began = performance.now()
    await assert.rejects(project.trainWindow({ model, batches: many }, { signal }), AbortError)
    assert.ok(performance.now() - began < 1500)
    assert.ok(await project.trainWindow({ model, batches }))
  })

  it(`keeps the exit code of process.exit() in mid-training, ${EXITS} times out of ${EXITS}`, async function () {
    this.timeout(240_000)
    const code = `
      import { TorchProject } from ${JSON.stringify(library)}
      const project = await TorchProject.open(${JSON.stringify(digits())})
      const model = await project.initModel()
      const batches = ${JSON.stringify(batches)}
      setTimeout(() => process.exit(5), Number(process.argv[1]))
      for (;;) await project.trainWindow({ model, batches })`
    const ends = []
    for (let i = 0; i < EXITS; i++) {
      const args = ['--input-type=module', '--eval', code, '--', String(5 + i * 9)]
      const child = spawn(process.execPath, args, { stdio: 'ignore', timeout: 20_000 })
      ends.push(await new Promise((resolve) => child.on('exit', (...end) => resolve(end))))
    }
    assert.deepEqual(
      ends,
      Array.from({ length: EXITS }, () => [5, null]),
    )
  })

  it('lets the process end by itself after torch was used', async () => {
    const code = `
      import { TorchProject } from ${JSON.stringify(library)}
      const project = await TorchProject.open(${JSON.stringify(digits())})
      await project.initModel()
      console.log('done')`
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '--eval', code],
      { timeout: 20_000 },
    )
    assert.equal(stdout, 'done\n')
  })

  it('shares the interpreter between two different torch workloads', async () => {
    await using runtime = await EmbeddedRuntime.start()
    await using one = await TorchProject.open(digits(), { runtime })
    await using two = await TorchProject.open(loading, { runtime })
    assert.deepEqual([one.workloadName, two.workloadName], ['digits-mlp', 'Loading'])
  })

  /** Every head that a run of the digits example promoted, by the artifact it names. */
  async function promotedBy(name: string, training: Record<string, unknown>): Promise<string[]> {
    const path = join(folder, `${name}.json`)
    const { runtime } = digits()
    const workload_config = { ...runtime.workload_config, seed: 7, epochs_per_window: 1 }
    const dataset = { root: join(data, 'train'), microshards_per_batch: 4, dataset_id: 'digits' }
    const common = { peers: 3, windows: 3, evaluation_split: 'Test', experiment_id: 'digits' }
    const content = {
      runtime: { ...runtime, workload_config: { ...workload_config, threads: 1 } },
      dataset,
      training: { ...common, ...training },
    }
    await writeFile(path, JSON.stringify(content))
    const out = join(folder, name)
    const end = await torchbed(['train', path, '--out', out, '--json'])
    assert.equal(end.code, 0, end.stderr + end.stdout)
    const store = new FsArtifactStore(join(out, 'store'))
    const canonical = await readCanonicalHead(store)
    assert.ok(canonical)
    return (await canonicalLineage(store, canonical)).map(({ artifact_id }) => artifact_id)
  }

  const rootEma = { canonical_reconcile: { RootEma: { canonical_weight: 0.5 } } }

  it('promotes the same artifacts in every run of a seed, those that it has always promoted', async function () {
    this.timeout(120_000)
    const replace = await promotedBy('replace', {})
    assert.deepEqual(await promotedBy('replace-again', {}), replace)
    const ema = await promotedBy('ema', rootEma)
    // The bits of a sum depend on torch's kernels: the recorded ids hold for the ones they were recorded with.
    const { stdout } = await promisify(execFile)((await findPython()).executable, [
      '-c',
      'import platform, torch; print(platform.machine(), torch.__version__.split("+")[0], ' +
        'torch.backends.cpu.get_cpu_capability())',
    ])
    if (stdout.trim() !== digitsIds.recordedWith) this.skip()
    assert.deepEqual({ replace, ema }, { replace: digitsIds.Replace, ema: digitsIds.RootEma })
  })

  it('keeps the state of optimizer and sampler, so that a resumed run has the same bits', async function () {
    this.timeout(120_000)
    const whole = await promotedBy('whole', { ...rootEma, windows: 4 })
    await promotedBy('parts', { ...rootEma, windows: 2 })
    assert.deepEqual(await promotedBy('parts', { ...rootEma, windows: 4 }), whole)
    await promotedBy('lost', { ...rootEma, windows: 2 })
    await rm(join(folder, 'lost', 'peers'), { recursive: true })
    const lost = await promotedBy('lost', { ...rootEma, windows: 4 })
    assert.notEqual(lost.at(-1), whole.at(-1))
  })

  it('stays within 5 ms of the idle event-loop delay, and learns, from the command line', async () => {
    const path = join(folder, 'config.json')
    await writeFile(
      path,
      JSON.stringify({
        ...digits(),
        dataset: { root: join(data, 'train'), microshards_per_batch: 4 },
        training: { windows: 6, evaluation_split: 'Test' },
      }),
    )
    const end = await torchbed(['train', path, '--json', '--out', join(folder, 'out')])
    assert.equal(end.code, 0, end.stderr)
    const summary = jsonEvents(end.stdout).at(-1) as Record<string, number>
    assert.ok(summary.accuracy! >= 0.95)
    const { loopDelayP99Ms, idleLoopDelayP99Ms } = summary
    assert.ok(loopDelayP99Ms! <= idleLoopDelayP99Ms! + 5, JSON.stringify(summary))
  })
})
