/** The documents: their links lead somewhere, and their tables agree with the code. test/tools/docs runs their blocks. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { TrainConfig } from '../../lib/cli/train/config.js'
import { TorchProject, type TorchRuntimeConfig } from '../../lib/index.js'
import type { PythonBatchRef } from '../../lib/schema/index.js'
import { anchorsOf, blocksOf, documents, proseOf, read, root } from './docs/blocks.js'
import { jsonEvents, torchbed } from '../support/cli.js'
import { withTorch } from '../support/workloads.js'

const torchIt = withTorch ? it : it.skip

/** The code of a document's blocks of a language, in order. */
function blocks(document: string, language: string): string[] {
  return blocksOf(document)
    .filter((block) => block.language === language)
    .map(({ code }) => code)
}

/** The cells of every row of every table, without the lines below the headings. */
function tableRows(document: string): string[][] {
  return proseOf(document)
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^[|\-: ]+$/.test(line))
    .map((line) => line.split(/(?<!\\)\|/).slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim()))
}

describe('the documents', () => {
  for (const document of documents) {
    it(`${document} links to what exists`, () => {
      for (const [, target] of proseOf(document).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(target!)) continue
        const [path, anchor] = target!.split('#')
        const file = path === '' ? document : join(dirname(document), path!)
        assert.ok(existsSync(join(root, file)), `${target!} leads nowhere`)
        if (anchor !== undefined)
          assert.ok(anchorsOf(file).has(anchor), `no heading for ${target!}`)
      }
    })

    it(`${document} names only files that exist`, () => {
      const names = proseOf(document).matchAll(
        /`((?:lib|native|python|test|scripts|examples|docs)\/[\w./-]+\.\w+)`/g,
      )
      for (const [, path] of names) assert.ok(existsSync(join(root, path!)), `${path!} is gone`)
    })
  }

  it('docs/README.md lists every document, and README.md leads to it', () => {
    const listed = read('docs/README.md')
    const shown = documents.filter(
      (document) =>
        !/^(README\.md|docs\/README\.md|examples\/.+\/|docs\/reference\/spec\/[a-z])/.test(
          document,
        ),
    )
    assert.deepEqual(
      shown.filter((document) => !listed.includes(`](${relative('docs', document)})`)),
      [],
    )
    assert.ok(read('README.md').includes('](docs/README.md)'))
  })

  it('docs/internals/architecture.md has every folder of the library in its picture', () => {
    const picture = blocks('docs/internals/architecture.md', 'text')[1]!
    const drawn = new Set([...picture.matchAll(/^lib\/(\w+) /gm)].map(([, name]) => name!))
    const folders = readdirSync(join(root, 'lib'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
    assert.deepEqual([...drawn].sort(), folders.sort())
  })

  it('docs/reference has every error and every limit as the code has them', async function () {
    this.timeout(30_000)
    const script = join(root, 'scripts', 'reference-pages.mjs')
    await promisify(execFile)(process.execPath, [script, '--check'])
  })
})

describe('the workload and the config of the documents', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-docs-'))
  })
  after(() => rm(folder, { recursive: true }))

  /** Writes the minimal workload and a folder with one shard for it. */
  async function minimalWorkload(): Promise<{ runtime: TorchRuntimeConfig; shard: string }> {
    const code = blocks('docs/guide/workloads.md', 'python').find((block) =>
      block.includes('class MinimalWorkload'),
    )
    await writeFile(join(folder, 'minimal_workload.py'), code!)
    await mkdir(join(folder, 'shards'), { recursive: true })
    const shard = join(folder, 'shards', '00000.safetensors')
    await writeFile(shard, lineShard())
    const runtime = {
      workload_factory: 'minimal_workload:create_workload',
      module_search_roots: [folder],
      workload_config: { learning_rate: 0.5 },
    }
    return { runtime, shard }
  }

  torchIt('the minimal workload of docs/guide/workloads.md trains, saves and loads', async () => {
    const { runtime, shard: path } = await minimalWorkload()
    const batch: PythonBatchRef = {
      kind: 'cached_microshard_group',
      shard_paths: [path],
      microshard_ids: ['00000'],
      ordinals: [0],
      bytes_len: lineShard().length,
    }
    await using project = await TorchProject.open({ runtime })
    assert.equal(project.workloadName, 'minimal')
    await using model = await project.initModel()
    const batches = Array<PythonBatchRef>(50).fill(batch)
    const first = (await project.trainWindow({ model, batches })).stats
    const second = (await project.trainWindow({ model, batches })).stats
    assert.equal(first.examples_processed, 200n)
    assert.ok(Number(second.loss) < Number(first.loss) / 2)

    const artifact = join(folder, 'artifact.safetensors')
    await project.materializeModelArtifactFile(model, artifact)
    await using fresh = await project.initModel()
    const loss = async (of: typeof model) => (await project.evaluate(of, 'Test')).metrics.loss
    assert.notEqual(await loss(fresh), await loss(model))
    await project.loadModelArtifactFile(fresh, artifact)
    assert.equal(await loss(fresh), await loss(model))
  })

  torchIt('the minimal workload of docs/guide/workloads.md runs in torchbed train', async () => {
    const { runtime } = await minimalWorkload()
    const config = join(folder, 'config.json')
    const training = { peers: 2, windows: 2 }
    await writeFile(config, JSON.stringify({ runtime, dataset: { root: 'shards' }, training }))
    const end = await torchbed(['train', config, '--out', join(folder, 'out'), '--json'])
    assert.equal(end.code, 0, end.stderr + end.stdout)
    const kinds = jsonEvents(end.stdout).map(({ event }) => event)
    const window = ['window', 'window', 'promoted']
    assert.deepEqual(kinds, ['start', 'promoted', ...window, ...window, 'summary'])
  })

  it('docs/guide/training.md has every field of the config', () => {
    const documented = tableRows('docs/guide/training.md').map(([field]) => field)
    const config = TrainConfig.fromJson(blocks('docs/guide/training.md', 'json')[0]!)
    const fields = Object.entries(config).flatMap(([part, value]) =>
      Object.keys(value).map((field) => `\`${part}.${field}\``),
    )
    assert.deepEqual(
      fields.filter((field) => !documented.includes(field)),
      [],
    )
  })
})

/** A shard with four points of the line y = 2x + 1. */
function lineShard(): Buffer {
  const x = Float32Array.of(0, 0.25, 0.5, 1)
  const y = x.map((value) => 2 * value + 1)
  const data = Buffer.concat([Buffer.from(x.buffer), Buffer.from(y.buffer)])
  const tensor = { dtype: 'F32', shape: [4, 1] }
  const header = JSON.stringify({
    x: { ...tensor, data_offsets: [0, 16] },
    y: { ...tensor, data_offsets: [16, 32] },
  })
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return Buffer.concat([length, Buffer.from(header), data])
}
