/** `torchbed inspect` as a user runs it, over real stores and files that were damaged. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { chunkingScheme, FsArtifactStore } from '../../../lib/store/index.js'
import { Progress } from '../../../lib/cli/inspect/progress.js'
import type {
  ManifestReport,
  SafetensorsReport,
  StoreReport,
} from '../../../lib/cli/inspect/report.js'
import { inspectStore } from '../../../lib/cli/inspect/store.js'
import type { ArtifactDescriptor, HeadDescriptor } from '../../../lib/schema/index.js'
import { forged } from '../../store/support.js'
import { safetensorsFile, tensor } from '../../safetensors/support.js'
import { mainProgram, torchbed } from '../../support/cli.js'

/** Two tensors, with a header that fills more than one chunk of 64 bytes. */
const MODEL = safetensorsFile(
  {
    __metadata__: { format: 'pt' },
    'layer.weight': tensor('F32', [8, 4], 0, 128),
    'layer.bias': tensor('BF16', [8], 128, 144),
  },
  Buffer.from(Array.from({ length: 144 }, (_, index) => index)),
)

function head(id: string, changes: Partial<HeadDescriptor> = {}): HeadDescriptor {
  return {
    head_id: id,
    study_id: 'study',
    experiment_id: 'experiment',
    revision_id: 'revision',
    artifact_id: 'collected',
    parent_head_id: null,
    global_step: 0,
    created_at: '2026-01-02T03:04:05.250Z',
    metrics: { loss: 2.25, accuracy: 0.125, examples: 360n },
    ...changes,
  }
}

describe('torchbed inspect', () => {
  let folder: string
  let store: FsArtifactStore
  let artifact: ArtifactDescriptor

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed inspéct '))
    store = new FsArtifactStore(join(folder, 'store'), { durability: 'none' })
    artifact = await storeModel('window-1')
    await store.storeHead(head('genesis'))
    await store.storeHead(
      head('window-1', {
        artifact_id: artifact.artifact_id,
        parent_head_id: 'genesis',
        global_step: 1,
        metrics: { loss: 0.5, accuracy: 0.875 },
      }),
    )
    await store.storeHead(head('peer-1', { parent_head_id: 'genesis', global_step: 1 }))
    await store.pinHead('window-1')
    await store.storeReceipt({
      receipt_id: 'receipt-1',
      peer_id: 'peer-1',
      study_id: 'study',
      experiment_id: 'experiment',
      revision_id: 'revision',
      base_head_id: 'genesis',
      artifact_id: 'collected',
      accepted_at: '2026-01-02T03:04:06Z',
      accepted_weight: 4,
      metrics: {},
      merge_cert_id: null,
    })
    await setCanonicalHead('window-1')
  })
  afterEach(() => rm(folder, { recursive: true }))

  function storeModel(
    headId: string,
    bytes: Uint8Array = MODEL,
    recordFormat = 'python-torch-safetensors',
  ): Promise<ArtifactDescriptor> {
    async function* source() {
      await Promise.resolve()
      yield bytes
    }
    const spec = {
      kind: 'FullHead' as const,
      head_id: headId,
      precision: 'Fp32' as const,
      model_schema_hash: 'schema',
      record_format: recordFormat,
    }
    return store.storeArtifactReader(spec, source(), chunkingScheme(64))
  }

  async function setCanonicalHead(id: string): Promise<void> {
    await mkdir(join(store.root, 'state'), { recursive: true })
    await writeFile(
      join(store.root, 'state', 'canonical-head.json'),
      JSON.stringify({ head_id: id }),
    )
  }

  async function flipByte(path: string, at: number): Promise<void> {
    const bytes = await readFile(path)
    bytes[at]! ^= 1
    await writeFile(path, bytes)
  }

  /** Runs with `--json`, expects the exit code, and returns the one document. */
  async function inspected<R>(code: number, path: string, ...options: string[]): Promise<R> {
    const end = await torchbed(['inspect', path, '--json', ...options])
    assert.equal(end.code, code, end.stdout + end.stderr)
    assert.equal(end.stderr, '')
    return JSON.parse(end.stdout) as R
  }

  const inspectedStore = (code: number, ...options: string[]) =>
    inspected<StoreReport>(code, store.root, ...options)

  /** Runs without `--json`, expects the exit code, and returns what it printed. */
  async function shown(code: number, path: string, ...options: string[]): Promise<string> {
    const end = await torchbed(['inspect', path, ...options])
    assert.equal(end.code, code, end.stdout + end.stderr)
    assert.equal(end.stderr, '')
    return end.stdout
  }

  async function refused(path: string, message: RegExp): Promise<void> {
    for (const options of [[], ['--json']]) {
      const end = await torchbed(['inspect', path, ...options])
      assert.equal(end.code, 2, end.stdout + end.stderr)
      if (options.length === 0) assert.equal(end.stdout, '')
      else {
        const { error } = JSON.parse(end.stdout) as { error: { code: string; message: string } }
        assert.equal(error.code, 'ERR_CONFIG')
        assert.match(error.message, message)
      }
      assert.match(end.stderr, /^ERR_CONFIG: /)
      assert.match(end.stderr, message)
      assert.doesNotMatch(end.stderr, /at async|node:internal/)
    }
  }

  const codes = ({ problems }: { problems: StoreReport['problems'] }) =>
    problems.map(({ code }) => code)

  describe('on a store', () => {
    it('shows heads, artifacts and tensors in 80 columns when nothing is wrong', async () => {
      const text = await shown(0, store.root)
      const expected = [
        /canonical head +window-1\n/,
        /heads +3\n/,
        /artifacts +1 \(\d+ B\)\n/,
        /receipts +1\n/,
        /pins +1 head, 0 artifacts\n/,
        /root first\n.*\n +0 {2}2026-01-02 03:04:05 {2}not kept +genesis\n +loss 2\.25, accuracy 0\.125, examples 360\n +1 .* {2}1220[0-9a-f]{8}… {2}window-1\n +loss 0\.5, accuracy 0\.875\n/,
        /other heads, root first\n.*\n.* peer-1\n +after genesis, loss 2\.25/,
        /FullHead of window-1\n +Fp32, python-torch-safetensors\n.* in \d+ chunks, verified\n/,
        / 2 tensors, 40 parameters, 144 B\n +F32 +\[8, 4\] +128 B {2}layer\.weight\n +BF16 +\[8\] +16 B {2}layer\.bias\n/,
        /\nNothing is damaged or missing\.\n$/,
      ]
      for (const part of expected) assert.match(text, part)
      assert.ok(text.includes(artifact.artifact_id))
      for (const line of text.split('\n').slice(1)) assert.ok(line.length <= 80, line)
    })

    it('gives the same as one JSON document, heads with parents before children', async () => {
      const report = await inspectedStore(0)
      assert.equal(report.kind, 'store')
      assert.equal(report.path, store.root)
      assert.ok(report.ok && report.verified)
      assert.equal(report.canonicalHead, 'window-1')
      assert.deepEqual(
        report.heads.map(({ head_id, canonical, artifactKept }) => [
          head_id,
          canonical,
          artifactKept,
        ]),
        [
          ['genesis', true, false],
          ['peer-1', false, false],
          ['window-1', true, true],
        ],
      )
      assert.deepEqual(report.heads[0]?.metrics, { accuracy: 0.125, examples: 360, loss: 2.25 })
      const [found] = report.artifacts
      assert.equal(found?.artifact_id, artifact.artifact_id)
      assert.equal(found.state, 'verified')
      assert.equal(found.chunkCount, artifact.chunks.length)
      assert.deepEqual(found.content?.metadata, { format: 'pt' })
      assert.equal(found.content.parameters, 40)
      assert.deepEqual(found.content.tensors, [
        { name: 'layer.weight', dtype: 'F32', shape: [8, 4], offset: 0, bytes: 128 },
        { name: 'layer.bias', dtype: 'BF16', shape: [8], offset: 128, bytes: 16 },
      ])
      assert.deepEqual(report.pins, { heads: ['window-1'], artifacts: [] })
      assert.equal(report.receiptCount, 1)
      assert.deepEqual(report.totals, {
        artifactBytes: MODEL.length,
        chunkFiles: artifact.chunks.length,
        chunkBytes: MODEL.length,
        unreferencedChunkFiles: 0,
        unreferencedChunkBytes: 0,
      })
    })

    it('may be new and empty', async () => {
      const empty = new FsArtifactStore(join(folder, 'empty'))
      await empty.ensureLayout()
      const report = await inspected<StoreReport>(0, empty.root)
      assert.deepEqual([report.canonicalHead, report.heads, report.artifacts], [null, [], []])
      assert.match(await shown(0, empty.root), /canonical head +none\n/)
    })

    it('names the chunk in which one byte is flipped', async () => {
      const chunk = artifact.chunks[2]!
      await flipByte(store.chunkPath(chunk.chunk_id), 5)
      const report = await inspectedStore(1)
      assert.deepEqual(codes(report), ['ERR_CHECKPOINT_CHUNK_HASH_MISMATCH'])
      const { artifact_id, chunk_id } = report.problems[0]!
      assert.deepEqual([artifact_id, chunk_id], [artifact.artifact_id, chunk.chunk_id])
      assert.equal(report.artifacts[0]?.state, 'damaged')
      const text = await shown(1, store.root)
      assert.ok(
        text.includes(
          `1 problem:\n  ERR_CHECKPOINT_CHUNK_HASH_MISMATCH: chunk "${chunk.chunk_id}"`,
        ),
      )
      assert.match(text, / chunks, damaged\n/)
    })

    it('names every chunk in which any byte is flipped', async () => {
      for (const [index, { chunk_id, length_bytes }] of artifact.chunks.entries()) {
        const path = store.chunkPath(chunk_id)
        await flipByte(path, (index * 7) % length_bytes)
        const report = await inspectStore(store.root, true, new Progress())
        assert.deepEqual(
          report.problems.map((problem) => problem.chunk_id),
          artifact.chunks.slice(0, index + 1).map((chunk) => chunk.chunk_id),
        )
      }
    })

    it('reads no contents with --no-verify, but misses no file', async () => {
      const [first, second, third] = artifact.chunks
      await flipByte(store.chunkPath(third!.chunk_id), 5)
      const unread = await inspectedStore(0, '--no-verify')
      assert.equal(unread.verified, false)
      assert.equal(unread.artifacts[0]?.state, 'present')
      assert.match(await shown(0, store.root, '--no-verify'), /Contents were not verified/)
      await rm(store.chunkPath(first!.chunk_id))
      await truncate(store.chunkPath(second!.chunk_id), 63)
      assert.deepEqual(codes(await inspectedStore(1, '--no-verify')), [
        'ERR_CHECKPOINT_UNKNOWN_CHUNK',
        'ERR_CHECKPOINT_CHUNK_LENGTH_MISMATCH',
      ])
    })

    it('names the chunks that are missing', async () => {
      const gone = [artifact.chunks[0]!, artifact.chunks[3]!]
      for (const { chunk_id } of gone) await rm(store.chunkPath(chunk_id))
      const report = await inspectedStore(1)
      assert.deepEqual(
        report.problems.map(({ code, chunk_id }) => [code, chunk_id]),
        gone.map(({ chunk_id }) => ['ERR_CHECKPOINT_UNKNOWN_CHUNK', chunk_id]),
      )
    })

    it('finds a manifest whose chunks are right and whose root hash is not', async () => {
      await store.storeManifest(forged(artifact, { root_hash: artifact.chunks[0]!.chunk_hash }))
      assert.deepEqual(codes(await inspectedStore(1)), [
        'ERR_CHECKPOINT_ARTIFACT_ROOT_HASH_MISMATCH',
      ])
    })

    it('finds a manifest that was changed, put under another name, or cut', async () => {
      const path = store.manifestPath(artifact.artifact_id)
      const text = await readFile(path, 'utf8')
      const damages = [
        () => writeFile(path, text.replace('"FullHead"', '"ServeHead"')),
        () => writeFile(path, text.replace('"offset_bytes": 64', '"offset_bytes": 65')),
        () => writeFile(path, text.slice(0, 100)),
        () => rename(path, join(path, '..', 'other.json')),
      ]
      for (const damage of damages) {
        await damage()
        const report = await inspectedStore(1)
        // The canonical head has lost its artifact by that.
        assert.deepEqual(codes(report), [
          'ERR_CHECKPOINT_INVALID_RECORD',
          'ERR_CHECKPOINT_UNKNOWN_ARTIFACT',
        ])
      }
    })

    it('counts chunks that no manifest names, which are no damage', async () => {
      const other = await storeModel('other', Buffer.from('another model'))
      await rm(store.manifestPath(other.artifact_id))
      const { totals } = await inspectedStore(0)
      assert.equal(totals.unreferencedChunkFiles, 1)
      assert.equal(totals.unreferencedChunkBytes, 13)
      assert.match(await shown(0, store.root), /no manifest names 1 of them \(13 B\)/)
    })

    it('takes a head without its artifact for damage only where the head is kept', async () => {
      await store.storeHead(head('loose', { global_step: 2 }))
      assert.ok((await inspectedStore(0)).ok)
      await store.pinHead('loose')
      assert.deepEqual(codes(await inspectedStore(1)), ['ERR_CHECKPOINT_UNKNOWN_ARTIFACT'])
    })

    it('finds heads without their parents, among their own ancestors, or with others artifacts', async () => {
      await store.storeHead(head('orphan', { parent_head_id: 'nobody', global_step: 5 }))
      await store.storeHead(head('child of a', { parent_head_id: 'a', global_step: 5 }))
      await store.storeHead(head('a', { parent_head_id: 'b', global_step: 6 }))
      await store.storeHead(head('b', { parent_head_id: 'a', global_step: 7 }))
      await store.storeHead(head('thief', { artifact_id: artifact.artifact_id, global_step: 8 }))
      const report = await inspectedStore(1)
      const messages = report.problems.map(({ message }) => message).join('\n')
      assert.match(messages, /parent head not found: "nobody"/)
      assert.match(messages, /heads\/a\.json.*one of its own ancestors/)
      assert.match(messages, /heads\/b\.json.*one of its own ancestors/)
      assert.match(messages, /head "thief" references artifact .* belongs to head "window-1"/)
      assert.equal(report.problems.length, 4)
      assert.equal(report.heads.length, 8)
    })

    it('orders a long line of heads whatever their steps say', async () => {
      const ids = Array.from({ length: 200 }, (_, index) => `h${index}`)
      for (const [index, id] of ids.entries()) {
        const parent_head_id = index === 0 ? 'window-1' : ids[index - 1]!
        await store.storeHead(head(id, { parent_head_id, global_step: 200 - index }))
      }
      await setCanonicalHead('h199')
      await rm(store.headPinPath('window-1'))
      const report = await inspectedStore(1)
      assert.deepEqual(codes(report), ['ERR_CHECKPOINT_UNKNOWN_ARTIFACT'])
      const lineage = report.heads.filter(({ canonical }) => canonical)
      assert.deepEqual(
        lineage.map(({ head_id }) => head_id),
        ['genesis', 'window-1', ...ids],
      )
    })

    it('says when the canonical head is not there, or its file is damaged', async () => {
      await setCanonicalHead('nobody')
      const report = await inspectedStore(1)
      assert.deepEqual(codes(report), ['ERR_CHECKPOINT_UNKNOWN_HEAD'])
      assert.equal(report.canonicalHead, null)
      const path = join(store.root, 'state', 'canonical-head.json')
      for (const text of ['{', '{"head_id": 3}']) {
        await writeFile(path, text)
        assert.deepEqual(codes(await inspectedStore(1)), ['ERR_CHECKPOINT_INVALID_RECORD'])
      }
      await rm(path)
      execFileSync('mkfifo', [path])
      assert.equal((await inspectedStore(0)).canonicalHead, null)
    })

    it('does not let a hostile id out of the store, or at the terminal', async () => {
      await writeFile(join(folder, 'secret.json'), '{"secret": 1}')
      const hostile = [
        '../../secret',
        '..',
        '\u001b[2J\u001b]0;owned\u0007\r\nNothing is damaged',
        '\u202ekcart\u009b31m',
        '\ud83d\ude00'.repeat(500),
        '',
      ]
      for (const id of hostile) {
        await store.storeHead(
          head(id, { metrics: { [`${id}\u001b[31m`]: `\u001b[2J${id}` }, global_step: 2 }),
        )
        await setCanonicalHead(id)
        const end = await torchbed(['inspect', store.root])
        assert.equal(end.code, 1, end.stderr) // Its artifact is missing.
        assert.doesNotMatch(end.stdout.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Cs}]/u)
        assert.doesNotMatch(end.stdout, /^Nothing is damaged/m)
        const report = await inspectedStore(1)
        assert.equal(report.canonicalHead, id)
        assert.ok(!JSON.stringify(report).includes('secret": 1'))
      }
    })

    it('reports an artifact that is not a safetensors file, which is no damage', async () => {
      await storeModel('other', Buffer.from('{"device": "cpu", "steps": 6}'))
      await storeModel('third', Buffer.from('anything'), 'pickle')
      const report = await inspectedStore(0)
      const notes = report.artifacts.map(({ content, tensorsNote }) => [
        content === null,
        tensorsNote?.slice(0, 22) ?? null,
      ])
      assert.deepEqual(
        notes.sort(),
        [
          [false, null],
          [true, 'not a safetensors file'],
          [true, null],
        ].sort(),
      )
      assert.match(await shown(0, store.root), /\n {4}not a safetensors file: /)
    })
  })

  describe('on a manifest', () => {
    const manifest = () => store.manifestPath(artifact.artifact_id)

    it('shows the descriptor and all tensors, and verifies it against its store', async () => {
      const text = await shown(0, manifest())
      assert.match(text, /record format +python-torch-safetensors\n/)
      assert.match(text, /chunks +\d+ of 64 B, verified\n/)
      assert.match(text, /metadata\n +format: pt\n/)
      assert.match(text, /\n +BF16 +\[8\] +16 B {2}layer\.bias\n/)
      const report = await inspected<ManifestReport>(0, manifest())
      assert.equal(report.store, store.root)
      assert.deepEqual(report.artifact?.chunks, artifact.chunks)
      assert.equal(report.artifact.root_hash, artifact.root_hash)
    })

    it('names its missing and corrupt chunks', async () => {
      const [first, second] = artifact.chunks
      await rm(store.chunkPath(first!.chunk_id))
      await flipByte(store.chunkPath(second!.chunk_id), 0)
      const report = await inspected<ManifestReport>(1, manifest())
      assert.deepEqual(
        report.problems.map(({ chunk_id }) => chunk_id),
        [first!.chunk_id, second!.chunk_id],
      )
      assert.match(await shown(1, manifest()), /chunks +\d+ of 64 B, 2 missing or corrupt\n/)
    })

    it('says that it lies when its contents do not give its id', async () => {
      const text = await readFile(manifest(), 'utf8')
      await writeFile(manifest(), text.replace('"Fp32"', '"Fp16"'))
      const report = await inspected<ManifestReport>(1, manifest())
      assert.deepEqual(codes(report), ['ERR_CHECKPOINT_INVALID_DESCRIPTOR'])
      assert.equal(report.artifact?.state, 'damaged')
    })

    it('says so when it is under the name of another', async () => {
      const path = join(manifest(), '..', 'other.json')
      await rename(manifest(), path)
      assert.deepEqual(codes(await inspected<ManifestReport>(1, path)), [
        'ERR_CHECKPOINT_INVALID_RECORD',
      ])
    })

    it('without a store around it is only compared with itself', async () => {
      const path = join(folder, 'manifest.json')
      await rename(manifest(), path)
      const report = await inspected<ManifestReport>(0, path)
      assert.deepEqual([report.store, report.verified], [null, false])
      assert.match(await shown(0, path), /Nothing to verify it against/)
    })

    it('that is another JSON file is bad usage, but damage in a store', async () => {
      const path = join(folder, 'other.json')
      await writeFile(path, '{"name": "x"}')
      await refused(path, /no manifest in .*other\.json.*artifact_id: expected a string/s)
      await truncate(path, 64 * 1024 * 1024 + 1)
      await refused(path, /no manifest in .*other\.json.*67108865 bytes exceed the limit/s)
      await writeFile(manifest(), '{"name": "x"}')
      assert.equal((await inspected<ManifestReport>(1, manifest())).artifact, null)
    })
  })

  describe('on a safetensors file', () => {
    let path: string
    beforeEach(async () => {
      path = join(folder, 'model.safetensors')
      await writeFile(path, MODEL)
    })

    it('shows metadata, tensors and the hash', async () => {
      const text = await shown(0, path)
      assert.match(text, /metadata\n {2}format: pt\n/)
      assert.match(
        text,
        /2 tensors, 40 parameters, 144 B\n {2}F32 +\[8, 4\] +128 B {2}layer\.weight\n/,
      )
      const report = await inspected<SafetensorsReport>(0, path)
      assert.equal(report.contentId, `1220${createHash('sha256').update(MODEL).digest('hex')}`)
      assert.equal(report.contentId, artifact.root_hash)
      assert.equal(report.bytes, MODEL.length)
    })

    it('reads the header only with --no-verify', async () => {
      const report = await inspected<SafetensorsReport>(0, path, '--no-verify')
      assert.deepEqual([report.contentId, report.content?.tensors.length], [null, 2])
    })

    it('says what is wrong with it', async () => {
      await truncate(path, MODEL.length - 1)
      const report = await inspected<SafetensorsReport>(1, path)
      assert.deepEqual(codes(report), ['ERR_SAFETENSORS_HEADER'])
      assert.equal(report.content, null)
      assert.match(await shown(1, path), /its tensors have 144 bytes, but the file has 143/)
    })

    it('does not let a hostile name or text at the terminal', async () => {
      const name = '\u001b[2J\u202e\n'
      const file = safetensorsFile(
        { __metadata__: { [name]: name }, [name]: tensor('U8', [1], 0, 1) },
        1,
      )
      await writeFile(path, file)
      const text = await shown(0, path)
      assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u)
      assert.equal((await inspected<SafetensorsReport>(0, path)).content?.tensors[0]?.name, name)
    })
  })

  it('prints with --quiet what is damaged alone, and nothing when all is well', async () => {
    const sound = await torchbed(['inspect', store.root, '--quiet'])
    assert.deepEqual([sound.code, sound.stdout, sound.stderr], [0, '', ''])
    await rm(store.chunkPath(artifact.chunks[0]!.chunk_id))
    const damaged = await torchbed(['inspect', store.root, '--quiet'])
    assert.deepEqual([damaged.code, damaged.stderr], [1, ''])
    assert.match(damaged.stdout, /^1 problem:\n {2}ERR_CHECKPOINT_UNKNOWN_CHUNK: .*\n$/)
  })

  describe('is bad usage', () => {
    it('without a path', async () => {
      const end = await torchbed(['inspect'])
      assert.equal(end.code, 2)
      assert.match(end.stderr, /missing required argument 'path'/)
    })

    it('when nothing is there', () => refused(join(folder, 'none'), /none.*no such file/s))

    it('on an empty folder', async () => {
      const empty = join(folder, 'empty')
      await mkdir(empty)
      await refused(empty, /not an artifact store.*name the root of a store/s)
    })

    it('on the folder that holds the store, and says where it is', () =>
      refused(folder, /it holds a store; inspect ".*store"/s))

    it('on a pipe', async function () {
      if (process.platform === 'win32') return this.skip()
      const pipe = join(folder, 'pipe')
      execFileSync('mkfifo', [pipe])
      await refused(pipe, /neither a folder nor a regular file/)
    })
  })

  const onLinux = process.platform === 'linux' ? it : it.skip
  onLinux('says in one line that its output has no room', () => {
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', '"$0" "$1" inspect --help > /dev/full', process.execPath, mainProgram],
      { encoding: 'utf8' },
    )
    assert.equal(status, 1)
    assert.match(stderr, /^ENOSPC: Cannot write to standard output: .*no space left.*\n$/)
  })
})
