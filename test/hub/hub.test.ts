/** Model folders in the layout of Hugging Face: there and back, and refused when they contradict themselves. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import {
  exportHubFolder,
  HubFolderError,
  importHubFolder,
  readHubFolder,
  renameBy,
} from '../../lib/hub/index.js'
import { SafetensorsHeaderError } from '../../lib/safetensors/index.js'
import { AbortError } from '../../lib/errors.js'
import { runs } from '../support/runs.js'

/** A safetensors file of float32 vectors. */
function file(tensors: Readonly<Record<string, readonly number[]>>): Buffer {
  let at = 0
  const fields = Object.entries(tensors).map(([name, values]) => {
    const begin = at
    at += values.length * 4
    return [name, { dtype: 'F32', shape: [values.length], data_offsets: [begin, at] }] as const
  })
  const head = Buffer.from(JSON.stringify(Object.fromEntries(fields)))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(head.length))
  const data = Float32Array.from(Object.values(tensors).flat())
  return Buffer.concat([length, head, Buffer.from(data.buffer)])
}

describe('a model folder in the layout of Hugging Face', () => {
  let root: string
  let artifact: string
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'torchbed-hub-'))
    artifact = join(root, 'artifact.safetensors')
    await writeFile(artifact, file({ 'net.a': [1, 2], 'net.b': [3], 'head.w': [4, 5, 6] }))
  })
  afterEach(() => rm(root, { recursive: true }))

  const config = { model_type: 'tiny', hidden_size: 3 }
  const at = (...parts: string[]) => join(root, ...parts)

  /** A folder with a config and these files. */
  async function folder(files: Readonly<Record<string, string | Buffer>>): Promise<string> {
    const path = await mkdtemp(at('model-'))
    const all = { 'config.json': JSON.stringify(config), ...files }
    for (const [name, content] of Object.entries(all)) await writeFile(join(path, name), content)
    return path
  }
  const index = (map: unknown) => JSON.stringify({ metadata: {}, weight_map: map })
  const INDEX = 'model.safetensors.index.json'

  it('is one file where all fits, with names mapped, and the artifact again when it comes back', async () => {
    const rename = renameBy([['net.', 'model.net.']])
    const written = await exportHubFolder(artifact, at('out'), { config, rename })
    assert.deepEqual(written, {
      files: ['model.safetensors', 'config.json'],
      tensors: 3,
      bytes: 24,
    })
    assert.deepEqual(JSON.parse(await readFile(at('out', 'config.json'), 'utf8')), config)
    const found = await readHubFolder(at('out'))
    assert.deepEqual(found.config, config)
    assert.deepEqual(
      found.tensors.map(({ name }) => name),
      ['head.w', 'model.net.a', 'model.net.b'],
    )
    await importHubFolder(at('out'), at('first'), { rename: renameBy([['model.', '']]) })
    await exportHubFolder(at('first'), at('again'), { config })
    await importHubFolder(at('again'), at('second'))
    assert.deepEqual(await readFile(at('second')), await readFile(at('first')))
  })

  it('is several files with an index where a file would be too large', async () => {
    const { files } = await exportHubFolder(artifact, at('out'), { config, maxShardBytes: 12 })
    assert.deepEqual(files, [
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      INDEX,
      'config.json',
    ])
    const written: unknown = JSON.parse(await readFile(at('out', INDEX), 'utf8'))
    assert.deepEqual(written, {
      metadata: { total_size: 24 },
      weight_map: {
        'head.w': 'model-00001-of-00002.safetensors',
        'net.a': 'model-00002-of-00002.safetensors',
        'net.b': 'model-00002-of-00002.safetensors',
      },
    })
    await importHubFolder(at('out'), at('back'))
    await exportHubFolder(at('back'), at('whole'), { config })
    await importHubFolder(at('whole'), at('same'))
    assert.deepEqual(await readFile(at('same')), await readFile(at('back')))
  })

  it('keeps the bytes of any tensors, in shards of any size', async () => {
    const values = fc.dictionary(
      fc.string({ minLength: 1 }).filter((name) => name !== '__metadata__'),
      fc.array(fc.float({ noNaN: true }), { maxLength: 5 }),
      { minKeys: 1, maxKeys: 6, noNullPrototype: true },
    )
    let number = 0
    await fc.assert(
      fc.asyncProperty(values, fc.integer({ min: 1, max: 40 }), async (tensors, maxShardBytes) => {
        const name = `case-${number++}`
        await writeFile(at(`${name}.in`), file(tensors))
        await exportHubFolder(at(`${name}.in`), at(name), { config, maxShardBytes })
        const found = await readHubFolder(at(name))
        for (const tensor of found.tensors) {
          const bytes = await readFile(tensor.file)
          const given = Buffer.from(Float32Array.from(tensors[tensor.name] ?? [NaN]).buffer)
          assert.deepEqual(bytes.subarray(tensor.start, tensor.start + tensor.bytes), given)
        }
        assert.equal(found.tensors.length, Object.keys(tensors).length)
      }),
      { numRuns: runs(30) },
    )
  })

  it('may be made of links, as the cache of Hugging Face is', async () => {
    const blob = at('blob')
    await writeFile(blob, file({ w: [1] }))
    const path = await folder({})
    await symlink(blob, join(path, 'model.safetensors'))
    assert.equal((await readHubFolder(path)).tensors.length, 1)
  })

  for (const place of [
    '../outside.safetensors',
    '/etc/x.safetensors',
    'a/b.safetensors',
    '..',
    7,
  ]) {
    it(`is refused when its index puts a tensor into ${JSON.stringify(place)}`, async () => {
      await writeFile(at('outside.safetensors'), file({ w: [1] }))
      const path = await folder({ [INDEX]: index({ w: place }) })
      await assert.rejects(readHubFolder(path), (error) => {
        assert.ok(error instanceof HubFolderError)
        return error.message.includes('no name of a safetensors file in the folder')
      })
    })
  }

  const shards = { 'a.safetensors': file({ x: [1], y: [2] }), 'b.safetensors': file({ y: [3] }) }
  const lies: readonly [string, Record<string, string | Buffer>, RegExp][] = [
    [
      'holds a tensor twice',
      { ...shards, [INDEX]: index({ x: 'a.safetensors', y: 'b.safetensors' }) },
      /"y" of "a.safetensors" is in another file/,
    ],
    [
      'names a file that is not there',
      { ...shards, [INDEX]: index({ x: 'a.safetensors', y: 'a.safetensors', z: 'c.safetensors' }) },
      /no file "c.safetensors"/,
    ],
    [
      'promises a tensor that its file does not hold',
      { ...shards, [INDEX]: index({ x: 'a.safetensors', y: 'a.safetensors', z: 'a.safetensors' }) },
      /promises the tensor "z"/,
    ],
    [
      'leaves a tensor out',
      { ...shards, [INDEX]: index({ x: 'a.safetensors' }) },
      /"y" of "a.safetensors" is not in/,
    ],
    ['has no map', { ...shards, [INDEX]: '{"weight_map": []}' }, /no object "weight_map"/],
    ['is no JSON', { ...shards, [INDEX]: '{"weight_map"' }, /is not JSON/],
  ]
  for (const [what, files, message] of lies) {
    it(`is refused when its index ${what}`, async () => {
      const path = await folder(files)
      await assert.rejects(
        readHubFolder(path),
        (error) => error instanceof HubFolderError && message.test(error.message),
      )
    })
  }

  it('is refused without a config, without weights, and with weights that are none', async () => {
    await mkdir(at('empty'))
    await assert.rejects(readHubFolder(at('empty')), /no config.json/)
    await assert.rejects(readHubFolder(await folder({})), /no file "model.safetensors"/)
    const broken = await folder({ 'model.safetensors': 'not this' })
    await assert.rejects(readHubFolder(broken), SafetensorsHeaderError)
  })

  it('is not written over another, nor with two tensors of one name, nor after an abort', async () => {
    await exportHubFolder(artifact, at('out'), { config })
    await assert.rejects(
      exportHubFolder(artifact, at('out'), { config }),
      /has "config.json" already/,
    )
    const rename = () => 'same'
    await assert.rejects(exportHubFolder(artifact, at('new'), { config, rename }), HubFolderError)
    const signal = AbortSignal.abort()
    await assert.rejects(exportHubFolder(artifact, at('new'), { config, signal }), AbortError)
    assert.deepEqual(await readdir(at('new')), [])
  })

  it('leaves out what is renamed to nothing, and replaces the longest prefix', async () => {
    const rename = (name: string) => (name.startsWith('net.') ? name : null)
    await exportHubFolder(artifact, at('out'), { config, rename })
    assert.equal((await readHubFolder(at('out'))).tensors.length, 2)
    const by = renameBy([
      ['', 'all.'],
      ['model.', 'm.'],
    ])
    assert.deepEqual([by('model.x'), by('x')], ['m.x', 'all.x'])
  })
})
