/** What a person writes into torchbed.json, and what is said about mistakes in it. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readTrainConfig } from '../../lib/cli/train/config.js'
import { ConfigError } from '../../lib/index.js'

const minimal = { runtime: { workload_factory: 'a:b' }, dataset: { root: 'shards' }, training: {} }

describe('the config of torchbed train', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-config-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  async function issuesOf(content: unknown): Promise<string[]> {
    const path = join(folder, 'torchbed.json')
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
    try {
      await readTrainConfig(path)
      return []
    } catch (error) {
      assert.ok(error instanceof ConfigError)
      assert.ok(error.message.includes(path))
      return error.issues.map((issue) => `${issue.path}: ${issue.message}`)
    }
  }

  it('suggests the field that a misspelt one was meant to be, at every level, all at once', async () => {
    const issues = await issuesOf({
      runtime: { workload_factroy: 'a:b', workload_factory: 'a:b' },
      dataset: { root: 'shards', micro_shards_per_batch: 2 },
      training: {
        window: 3,
        canonical_reconcile: { RootEma: { canonical_weight: 0.5, canonicl_weight: 0.5 } },
      },
      trianing: {},
    })
    assert.deepEqual(issues, [
      'trianing: unknown field "trianing"; did you mean "training"?',
      'runtime.workload_factroy: unknown field "workload_factroy"; did you mean "workload_factory"?',
      'dataset.micro_shards_per_batch: unknown field "micro_shards_per_batch"; did you mean "microshards_per_batch"?',
      'training.window: unknown field "window"; did you mean "windows"?',
      'training.canonical_reconcile.RootEma.canonicl_weight: unknown field "canonicl_weight"; did you mean "canonical_weight"?',
    ])
  })

  it('says what is missing beside what is misspelt', async () => {
    const issues = await issuesOf({ ...minimal, runtime: { workload_factroy: 'a:b' } })
    assert.deepEqual(issues, [
      'runtime.workload_factroy: unknown field "workload_factroy"; did you mean "workload_factory"?',
      'runtime.workload_factory: expected a string, got nothing (it is missing)',
    ])
  })

  it('may have 1 to 64 peers, and says so beside what else is wrong', async () => {
    for (const peers of [0, 65, 1.5, '2']) {
      const issues = await issuesOf({ ...minimal, training: { peers, window: 3 } })
      const got = JSON.stringify(peers)
      assert.deepEqual(issues, [
        'training.window: unknown field "window"; did you mean "windows"?',
        `training.peers: expected an integer from 1 to 64, got ${got}`,
      ])
    }
    for (const peers of [1, 64]) {
      assert.deepEqual(await issuesOf({ ...minimal, training: { peers } }), [])
    }
  })

  it('lists the known fields where none is like the unknown one', async () => {
    const [issue = ''] = await issuesOf({ ...minimal, zzz: 1 })
    assert.equal(issue, 'zzz: unknown field "zzz"; known are "runtime", "dataset", "training"')
  })

  it('suggests the value that a misspelt one was meant to be', async () => {
    const issues = await issuesOf({ ...minimal, training: { evaluation_split: 'Tset' } })
    assert.match(
      issues.join('\n'),
      /^training\.evaluation_split: .*got "Tset"; did you mean "Test"\?$/,
    )
  })

  it('leaves the fields of workload_config and the names in env to the workload', async () => {
    const runtime = {
      workload_factory: 'a:b',
      workload_config: { workload_factroy: 1, deep: { trianing: 2 } },
      env: { windws: '1' },
    }
    assert.deepEqual(await issuesOf({ ...minimal, runtime }), [])
  })

  it('reports line and column of text that is not JSON', async () => {
    const issues = await issuesOf('{\n  "runtime": {},\n  "dataset" {}\n}\n')
    assert.deepEqual(issues, [': expected ":" at line 3, column 13, got "{"'])
  })

  it('is found in the folder that is named instead of it', async () => {
    await writeFile(join(folder, 'torchbed.json'), JSON.stringify(minimal))
    const config = await readTrainConfig(folder)
    assert.equal(config.dataset.root, join(folder, 'shards'))
  })

  it('is missed with the way to a first one', async () => {
    await mkdir(join(folder, 'empty'))
    for (const path of [join(folder, 'none.json'), join(folder, 'empty')]) {
      await assert.rejects(readTrainConfig(path), /no such file; "torchbed init" writes one/)
    }
  })
})
