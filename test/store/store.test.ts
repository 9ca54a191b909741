import assert from 'node:assert/strict'
import { constants } from 'node:buffer'
import { mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

import fc from 'fast-check'

import {
  chunkingScheme,
  FsArtifactStore,
  MAX_CHUNK_BYTES,
  type StoredRecord,
} from '../../lib/store/index.js'
import {
  ArtifactDescriptor,
  contentId,
  type ContributionReceipt,
  type HeadDescriptor,
} from '../../lib/schema/index.js'
import {
  ABC,
  filesBelow,
  forged,
  removeFolder,
  runElsewhere,
  SERVE_HEAD,
  serveHead,
  temporaryFolder,
} from './support.js'

const HEAD: HeadDescriptor = {
  head_id: '../escape',
  study_id: 'study',
  experiment_id: 'experiment',
  revision_id: 'revision',
  artifact_id: ABC,
  parent_head_id: null,
  global_step: 3,
  created_at: '2026-01-02T03:04:05Z',
  metrics: { loss: 1, steps: 2n },
}

const RECEIPT: ContributionReceipt = {
  receipt_id: 'receipt-1',
  peer_id: 'peer',
  study_id: 'study',
  experiment_id: 'experiment',
  revision_id: 'revision',
  base_head_id: 'head',
  artifact_id: ABC,
  accepted_at: '2026-01-02T03:04:05Z',
  accepted_weight: 1,
  metrics: {},
  merge_cert_id: null,
}

describe('the artifact store', () => {
  let folder = ''
  let root = ''
  let store: FsArtifactStore

  beforeEach(async () => {
    folder = await temporaryFolder()
    root = join(folder, 'store')
    store = new FsArtifactStore(root)
  })
  afterEach(() => removeFolder(folder))

  const storeAbc = () =>
    store.storeArtifactReader(
      SERVE_HEAD,
      Readable.from([Buffer.from('abcdefgh')]),
      chunkingScheme(3),
    )

  describe('on the disk', () => {
    it('has the folders, names and contents of the reference (spec formats#file-names, store#layout, store#descriptors)', async () => {
      const artifact = await storeAbc()
      await store.pinHead('serve-head')
      await store.pinHead('../escape')
      await store.pinArtifact(artifact.artifact_id)
      await store.storeHead(HEAD)
      await store.storeReceipt(RECEIPT)

      const { artifact_id, chunks } = artifact
      const files = await filesBelow(root)
      const hashed =
        '__burn_p2p_id_1ba7343c47dc442de7dec43a995deb9a7b62234ecca16d7c6f597b5155bd85b1'
      assert.deepEqual(
        [...files.keys()].sort(),
        [
          ...chunks.map(({ chunk_id }) => `artifacts/chunks/${chunk_id}.chunk`),
          `artifacts/manifests/${artifact_id}.json`,
          `artifacts/pins/artifact-${artifact_id}.pin`,
          `artifacts/pins/head-${hashed}.pin`,
          'artifacts/pins/head-serve-head.pin',
          `heads/${hashed}.json`,
          'receipts/receipt-1.json',
        ].sort(),
      )
      const read = (name: string) => files.get(name)?.toString()
      assert.equal(read(`artifacts/chunks/${ABC}.chunk`), 'abc')
      assert.equal(read('artifacts/pins/head-serve-head.pin'), 'serve-head')
      assert.equal(read(`artifacts/pins/head-${hashed}.pin`), '../escape')
      assert.equal(read(`artifacts/pins/artifact-${artifact_id}.pin`), artifact_id)
      assert.equal(
        read(`artifacts/manifests/${artifact_id}.json`),
        `{
  "artifact_id": "122095e5f41f4751db3bcd224af428c8a57cbc9f5ebb0732008c08636718bf740d41",
  "kind": "ServeHead",
  "head_id": "serve-head",
  "base_head_id": null,
  "precision": "Fp16",
  "model_schema_hash": "model-schema",
  "record_format": "burn-store:safetensors",
  "bytes_len": 8,
  "chunks": [
    {
      "chunk_id": "1220ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      "offset_bytes": 0,
      "length_bytes": 3,
      "chunk_hash": "1220ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    },
    {
      "chunk_id": "1220cb8379ac2098aa165029e3938a51da0bcecfc008fd6795f401178647f96c5b34",
      "offset_bytes": 3,
      "length_bytes": 3,
      "chunk_hash": "1220cb8379ac2098aa165029e3938a51da0bcecfc008fd6795f401178647f96c5b34"
    },
    {
      "chunk_id": "${chunks[2]?.chunk_id ?? ''}",
      "offset_bytes": 6,
      "length_bytes": 2,
      "chunk_hash": "${chunks[2]?.chunk_id ?? ''}"
    }
  ],
  "root_hash": "12209c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab"
}`,
      )
      assert((await stat(join(root, 'state'))).isDirectory())
    })

    it('has its files where the path methods say', async () => {
      const { artifact_id } = await storeAbc()
      await store.storeHead(HEAD)
      await store.storeReceipt(RECEIPT)
      await store.pinHead('h')
      await store.pinArtifact('a')
      for (const path of [
        store.chunkPath(ABC),
        store.manifestPath(artifact_id),
        store.headPath(HEAD.head_id),
        store.receiptPath(RECEIPT.receipt_id),
        store.headPinPath('h'),
        store.artifactPinPath('a'),
      ]) {
        assert((await stat(path)).isFile(), path)
      }
    })

    it('is the same with either durability', async () => {
      const fast = new FsArtifactStore(join(folder, 'fast'), { durability: 'none' })
      const source = [Buffer.from('abcdefgh')]
      await fast.storeArtifactReader(SERVE_HEAD, source, chunkingScheme(3))
      await storeAbc()
      assert.deepEqual(await filesBelow(fast.root), await filesBelow(root))
    })
  })

  describe('gives back', () => {
    it('what was stored, for any bytes, pieces and chunk size', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }),
          fc.integer({ min: 1, max: 400 }),
          async (pieces, chunkSize) => {
            const bytes = Buffer.concat(pieces)
            const stored = await store.storeArtifactReader(
              SERVE_HEAD,
              Readable.from(pieces),
              chunkingScheme(chunkSize),
            )
            assert.deepEqual(await store.loadManifest(stored.artifact_id), stored)
            assert.deepEqual(Buffer.from(await store.materializeArtifactBytes(stored)), bytes)
            const path = join(folder, 'out', 'artifact.bin')
            assert.equal(await store.materializeArtifactFile(stored, path), path)
            assert.deepEqual(await readFile(path), bytes)
            assert(await store.hasCompleteArtifact(stored.artifact_id, { verify: true }))
          },
        ),
        { numRuns: 25 },
      )
    })

    it('the bytes of a file', async () => {
      const path = join(folder, 'model.bin')
      const bytes = Buffer.alloc(700_000, 'model')
      await writeFile(path, bytes)
      const stored = await store.storeArtifactFile(SERVE_HEAD, path, chunkingScheme(262144))
      assert.deepEqual(
        stored.chunks.map(({ length_bytes }) => length_bytes),
        [262144, 262144, 175712],
      )
      assert.deepEqual(Buffer.from(await store.materializeArtifactBytes(stored)), bytes)
    })

    it('bytes whose descriptor came with them', async () => {
      const descriptor = await serveHead()
      await store.storePrebuiltArtifactBytes(descriptor, Buffer.from('abcdefgh'))
      const bytes = await store.materializeArtifactBytes(descriptor)
      assert.equal(Buffer.from(bytes).toString(), 'abcdefgh')
      assert.equal(bytes.byteOffset, 0)
      assert.equal(bytes.buffer.byteLength, 8, 'the bytes share their memory with others')
    })

    it('heads and receipts, as they were', async () => {
      await store.storeHead(HEAD)
      await store.storeReceipt(RECEIPT)
      assert.deepEqual(await store.loadHead(HEAD.head_id), HEAD)
      assert.deepEqual(await store.loadReceipt(RECEIPT.receipt_id), RECEIPT)
      await assert.rejects(store.loadHead('none'), { code: 'ERR_CHECKPOINT_UNKNOWN_HEAD' })
      await assert.rejects(store.loadReceipt('none'), { code: 'ERR_CHECKPOINT_UNKNOWN_RECEIPT' })
    })

    it('a typed error for what is not there', async () => {
      assert.equal(await store.hasChunk(ABC), false)
      assert.equal(await store.hasManifest(ABC), false)
      assert.equal(await store.hasCompleteArtifact(ABC), false)
      const unknown = { code: 'ERR_CHECKPOINT_UNKNOWN_ARTIFACT', message: /^artifact not found/ }
      await assert.rejects(store.loadManifest(ABC), unknown)
      const descriptor = await serveHead()
      const chunk = descriptor.chunks[0]!
      await assert.rejects(store.loadChunkBytes(chunk), { code: 'ERR_CHECKPOINT_UNKNOWN_CHUNK' })
      await assert.rejects(store.materializeArtifactBytes(descriptor), {
        code: 'ERR_CHECKPOINT_UNKNOWN_CHUNK',
      })
    })

    it('one record an id: an equal one may be stored again, another one only with replace', async () => {
      await store.storeHead(HEAD)
      await store.storeHead({ ...HEAD })
      const other = { ...HEAD, global_step: HEAD.global_step + 1 }
      const conflict = { code: 'ERR_CHECKPOINT_CONFLICTING_RECORD', message: /replace: true/ }
      await assert.rejects(store.storeHead(other), conflict)
      assert.deepEqual(await store.loadHead(HEAD.head_id), HEAD)
      await store.storeHead(other, { replace: true })
      assert.deepEqual(await store.loadHead(HEAD.head_id), other)
      await store.storeReceipt(RECEIPT)
      await store.storeReceipt({ ...RECEIPT })
      const heavier = { ...RECEIPT, accepted_weight: RECEIPT.accepted_weight + 1 }
      await assert.rejects(store.storeReceipt(heavier), conflict)
      await writeFile(store.headPath(HEAD.head_id), '{"head_id": ')
      await store.storeHead(HEAD)
      assert.deepEqual(await store.loadHead(HEAD.head_id), HEAD)
    })

    it('no record behind a symbolic link, and quotes nothing of what the link leads to', async function () {
      if (process.platform === 'win32') this.skip()
      await store.storeHead(HEAD)
      const path = store.headPath(HEAD.head_id)
      const secret = join(folder, 'secret')
      await writeFile(secret, 'zecret')
      await rm(path)
      await symlink(secret, path)
      await assert.rejects(store.loadHead(HEAD.head_id), (error: Error) => {
        assert.match(error.message, /symbolic link/)
        assert.doesNotMatch(error.message, /"z/)
        return true
      })
      await store.storeHead(HEAD)
      assert.deepEqual(await store.loadHead(HEAD.head_id), HEAD)
      assert.equal(await readFile(secret, 'utf8'), 'zecret')
    })

    it('its manifests, heads and receipts one by one, damaged ones as what is wrong with them', async () => {
      const first = await storeAbc()
      await store.storeHead(HEAD)
      await store.storeReceipt(RECEIPT)
      await writeFile(join(root, 'heads', 'broken.json'), '{"head_id": ')
      await writeFile(join(root, 'heads', 'left.json.tmp'), 'left over')
      const all = async <T>(list: AsyncIterable<StoredRecord<T>>) => {
        const found: StoredRecord<T>[] = []
        for await (const item of list) found.push(item)
        return found
      }
      assert.deepEqual(await all(store.listManifests()), [
        { path: store.manifestPath(first.artifact_id), record: first },
      ])
      assert.deepEqual(await all(store.listReceipts()), [
        { path: store.receiptPath(RECEIPT.receipt_id), record: RECEIPT },
      ])
      const [head, broken, ...rest] = await all(store.listHeads())
      assert(head && 'record' in head && broken && 'error' in broken)
      assert.deepEqual(head.record, HEAD)
      assert.equal(broken.error.code, 'ERR_CHECKPOINT_INVALID_RECORD')
      assert.match(broken.error.message, /broken\.json/)
      assert.deepEqual(rest, [])
      const empty = new FsArtifactStore(join(folder, 'empty'))
      assert.deepEqual(await all(empty.listHeads()), [])
    })
  })

  describe('verifies', () => {
    it('every chunk when it is read, and can store a corrupt one again', async () => {
      const artifact = await storeAbc()
      const chunk = artifact.chunks[0]!
      const damages = [
        ['abX', 'ERR_CHECKPOINT_CHUNK_HASH_MISMATCH'],
        ['ab', 'ERR_CHECKPOINT_CHUNK_LENGTH_MISMATCH'],
        ['abcd', 'ERR_CHECKPOINT_CHUNK_LENGTH_MISMATCH'],
        ['', 'ERR_CHECKPOINT_CHUNK_LENGTH_MISMATCH'],
      ] as const
      const target = join(folder, 'out.bin')
      await writeFile(target, 'before')
      for (const [content, code] of damages) {
        await writeFile(store.chunkPath(ABC), content)
        await assert.rejects(store.loadChunkBytes(chunk), { code, chunkId: ABC })
        await assert.rejects(store.materializeArtifactBytes(artifact), { code })
        await assert.rejects(store.materializeArtifactFile(artifact, target), { code })
        assert.equal(await readFile(target, 'utf8'), 'before')
        assert.equal(await store.hasCompleteArtifact(artifact.artifact_id, { verify: true }), false)

        await store.storeChunkBytes(chunk, Buffer.from('abc'))
        assert.equal(Buffer.from(await store.loadChunkBytes(chunk)).toString(), 'abc')

        await writeFile(store.chunkPath(ABC), content)
        await storeAbc()
        assert(await store.hasCompleteArtifact(artifact.artifact_id, { verify: true }))
      }
      assert.deepEqual([...(await filesBelow(folder)).keys()].filter(isLeftOver), [])
    })

    it('an artifact by its root hash, and says which of its chunks is wrong', async () => {
      const bytes = Buffer.alloc(10_000, 'abcdefg')
      const artifact = await store.storeArtifactBytes(SERVE_HEAD, bytes, chunkingScheme(999))
      const target = join(folder, 'out.bin')
      assert.deepEqual(Buffer.from(await store.materializeArtifactBytes(artifact)), bytes)
      for (const index of [0, 4, artifact.chunks.length - 1]) {
        const { chunk_id, length_bytes } = artifact.chunks[index]!
        const kept = await readFile(store.chunkPath(chunk_id))
        await writeFile(store.chunkPath(chunk_id), Buffer.alloc(length_bytes, 'X'))
        const refused = { code: 'ERR_CHECKPOINT_CHUNK_HASH_MISMATCH', chunkId: chunk_id }
        await assert.rejects(store.materializeArtifactBytes(artifact), refused)
        await assert.rejects(store.materializeArtifactFile(artifact, target), refused)
        await assert.rejects(readFile(target), { code: 'ENOENT' })
        await writeFile(store.chunkPath(chunk_id), kept)
      }
      await store.materializeArtifactFile(artifact, target)
      assert.deepEqual(await readFile(target), bytes)
    })

    it('contents on demand when asked whether an artifact is complete', async () => {
      const { artifact_id } = await storeAbc()
      assert(await store.hasCompleteArtifact(artifact_id))
      assert(await store.hasCompleteArtifact(artifact_id, { verify: true }))
      await writeFile(store.chunkPath(ABC), 'abX')
      assert(await store.hasCompleteArtifact(artifact_id), 'the quick look reads no contents')
      assert.equal(await store.hasCompleteArtifact(artifact_id, { verify: true }), false)
      await writeFile(store.chunkPath(ABC), 'ab')
      assert.equal(await store.hasCompleteArtifact(artifact_id), false)
      await rm(store.chunkPath(ABC))
      assert.equal(await store.hasCompleteArtifact(artifact_id), false)
    })

    it('the root hash even when every chunk is right', async () => {
      const honest = await storeAbc()
      const lie = forged(honest, { root_hash: ABC })
      const refused = { code: 'ERR_CHECKPOINT_ARTIFACT_ROOT_HASH_MISMATCH' }
      await assert.rejects(store.materializeArtifactBytes(lie), refused)
      await assert.rejects(store.materializeArtifactFile(lie, join(folder, 'out.bin')), refused)
      await assert.rejects(store.storePrebuiltArtifactBytes(lie, Buffer.from('abcdefgh')), refused)
      assert.equal(await store.hasManifest(lie.artifact_id), false)
      await store.storeManifest(lie)
      assert(await store.hasCompleteArtifact(lie.artifact_id))
      assert.equal(await store.hasCompleteArtifact(lie.artifact_id, { verify: true }), false)
      assert.deepEqual(
        [...(await filesBelow(folder)).keys()].filter((name) => name.includes('out')),
        [],
      )
    })

    it('chunks and artifacts before it stores them, and writes nothing that is wrong', async () => {
      const descriptor = await serveHead()
      const chunk = descriptor.chunks[0]!
      await assert.rejects(store.storeChunkBytes(chunk, Buffer.from('abX')), {
        code: 'ERR_CHECKPOINT_CHUNK_HASH_MISMATCH',
      })
      await assert.rejects(store.storeChunkBytes(chunk, Buffer.from('ab')), {
        code: 'ERR_CHECKPOINT_CHUNK_LENGTH_MISMATCH',
        message: /expected 3 bytes, found 2 bytes/,
      })
      await assert.rejects(store.storePrebuiltArtifactBytes(descriptor, Buffer.from('abcdefgX')), {
        code: 'ERR_CHECKPOINT_CHUNK_HASH_MISMATCH',
      })
      await assert.rejects(store.storePrebuiltArtifactBytes(descriptor, Buffer.from('abcdefg')), {
        code: 'ERR_CHECKPOINT_ARTIFACT_LENGTH_MISMATCH',
      })
      await assert.rejects(stat(root), { code: 'ENOENT' })
    })
  })

  describe('does not trust', () => {
    const HOSTILE_IDS = [
      '../../../escape',
      '/etc/passwd',
      '..',
      '.',
      '',
      'a/../../b',
      'nul\0byte',
      'CON\\..\\x',
      'é'.repeat(150),
      'x'.repeat(300),
      'x'.repeat(4096),
      '\u202egpj.exe',
    ]

    it('ids: whatever they hold, nothing is written outside the store, and they come back', async () => {
      await mkdir(join(folder, 'outside'))
      for (const id of HOSTILE_IDS) {
        await store.pinHead(id)
        await store.pinArtifact(id)
        await store.storeHead({ ...HEAD, head_id: id })
        await store.storeReceipt({ ...RECEIPT, receipt_id: id })
        assert.equal((await store.loadHead(id)).head_id, id)
        assert.equal((await store.loadReceipt(id)).receipt_id, id)
        assert.equal(await store.hasManifest(id), false)
        assert.equal(await store.hasChunk(id), false)
        for (const path of [store.chunkPath(id), store.manifestPath(id), store.headPinPath(id)]) {
          assert(path.startsWith(join(root, 'artifacts')), path)
        }
      }
      assert.deepEqual([...(await store.pinnedHeads())].sort(), [...HOSTILE_IDS].sort())
      assert.deepEqual([...(await store.pinnedArtifacts())].sort(), [...HOSTILE_IDS].sort())
      const files = [...(await filesBelow(folder)).keys()]
      assert.equal(files.length, 4 * HOSTILE_IDS.length)
      assert(files.every((name) => /^store\/(artifacts\/pins|heads|receipts)\/[^/]+$/.test(name)))
      for (const id of HOSTILE_IDS) assert(await store.unpinHead(id))
      assert.equal((await store.pinnedHeads()).size, 0)
      assert.equal(await store.unpinHead('never'), false)
    })

    it('ids that cannot name a file', async () => {
      for (const id of ['x'.repeat(4097), '\ud800']) {
        await assert.rejects(store.pinHead(id), { code: 'ERR_CHECKPOINT_INVALID_ID' })
        await assert.rejects(store.hasManifest(id), { code: 'ERR_CHECKPOINT_INVALID_ID' })
        await assert.rejects(store.storeHead({ ...HEAD, head_id: id }))
      }
      await assert.rejects(stat(root), { code: 'ENOENT' })
      // 256 bytes are a legal file name for the reference too, which with its ending no file system takes.
      const long = 'x'.repeat(256)
      await assert.rejects(store.pinHead(long), {
        code: 'ERR_CHECKPOINT_IO',
        message: /the id is too long for a file name here/,
      })
      assert.equal(await store.hasManifest(long), false)
    })

    it('descriptors that lie: nothing is read for them, allocated or written', async () => {
      const honest = await serveHead()
      const lies = [
        { ...honest, artifact_id: '../../evil' },
        forged(honest, { bytes_len: 2 ** 52 }),
        forged(honest, { chunks: honest.chunks.slice(1) }),
        { ...honest, chunks: [{ ...honest.chunks[0]!, length_bytes: 2 ** 52 }] },
      ]
      const bytes = Buffer.from('abcdefgh')
      for (const lie of lies) {
        const code = /^ERR_CHECKPOINT_(INVALID_DESCRIPTOR|ARTIFACT_LENGTH_MISMATCH)$/
        const refused = (error: Error & { code: string }) => code.test(error.code)
        await assert.rejects(store.storeManifest(lie), refused)
        await assert.rejects(store.storePrebuiltArtifactBytes(lie, bytes), refused)
        await assert.rejects(store.materializeArtifactBytes(lie), refused)
        await assert.rejects(store.materializeArtifactFile(lie, join(folder, 'out')), refused)
      }
      const chunk = { ...honest.chunks[0]!, chunk_id: String(honest.chunks[1]!.chunk_id) }
      const refused = { code: 'ERR_CHECKPOINT_INVALID_DESCRIPTOR' }
      await assert.rejects(store.storeChunkBytes(chunk, Buffer.from('abc')), refused)
      await assert.rejects(store.loadChunkBytes(chunk), refused)
      assert.deepEqual([...(await filesBelow(folder)).keys()], [])
    })

    it('artifacts that no array can hold: they are not blamed for it', async function () {
      // From Node.js 22 on, memory ends first.
      if (constants.MAX_LENGTH > 2 ** 33) this.skip()
      const chunks = Array.from({ length: 65 }, (_, index) => {
        const hash: string = contentId(Buffer.from(String(index)))
        const place = { offset_bytes: index * MAX_CHUNK_BYTES, length_bytes: MAX_CHUNK_BYTES }
        return { chunk_id: hash, ...place, chunk_hash: hash }
      })
      const bytes_len = 65 * MAX_CHUNK_BYTES
      const long = forged(await serveHead(), {
        chunks,
        bytes_len,
        root_hash: contentId(Buffer.of()),
      })
      await assert.rejects(store.materializeArtifactBytes(long), {
        code: 'ERR_CHECKPOINT_ARTIFACT_TOO_LONG',
        length: bytes_len,
        message: /use materializeArtifactFile/,
      })
    })

    it('a large artifact that is only announced: no memory is taken before its chunks are there', async () => {
      const length = 64 * 1024 * 1024
      const chunks = Array.from({ length: 512 }, (_, index) => ({
        chunk_id: ABC,
        offset_bytes: index * length,
        length_bytes: length,
        chunk_hash: ABC,
      }))
      const lie = forged(await serveHead(), { chunks, bytes_len: 512 * length })
      await store.storeManifest(lie)
      const before = process.memoryUsage().arrayBuffers
      await assert.rejects(store.materializeArtifactBytes(lie), {
        code: /^ERR_CHECKPOINT_(UNKNOWN_CHUNK|ARTIFACT_TOO_LONG)$/,
      })
      await assert.rejects(store.materializeArtifactFile(lie, join(folder, 'out')), {
        code: 'ERR_CHECKPOINT_UNKNOWN_CHUNK',
      })
      await assert.rejects(store.loadChunkBytes(chunks[0]!), {
        code: 'ERR_CHECKPOINT_UNKNOWN_CHUNK',
      })
      assert(process.memoryUsage().arrayBuffers - before < length)
    })

    it('manifests, heads and receipts that are in the file of another id', async () => {
      const { artifact_id } = await storeAbc()
      await store.storeHead(HEAD)
      await store.storeReceipt(RECEIPT)
      await rename(store.manifestPath(artifact_id), store.manifestPath('other'))
      await rename(store.headPath(HEAD.head_id), store.headPath('other'))
      await rename(store.receiptPath(RECEIPT.receipt_id), store.receiptPath('other'))
      const refused = { code: 'ERR_CHECKPOINT_INVALID_RECORD', message: /it is the record of "/ }
      await assert.rejects(store.loadManifest('other'), refused)
      await assert.rejects(store.hasCompleteArtifact('other'), refused)
      await assert.rejects(store.loadHead('other'), refused)
      await assert.rejects(store.loadReceipt('other'), refused)
    })

    it('manifests that are damaged, deep, huge, or contradict themselves', async () => {
      const { artifact_id, ...rest } = await storeAbc()
      const path = store.manifestPath(artifact_id)
      const json = ArtifactDescriptor.toJson({ artifact_id, ...rest })
      const contents = [
        '',
        json.slice(0, -1),
        '['.repeat(100_000),
        `{"a":${'['.repeat(200)}${']'.repeat(200)}}`,
        json.replace('"bytes_len":8', '"bytes_len":9'),
        json.replace('"bytes_len":8', '"bytes_len":1e30'),
        json.replace('"offset_bytes":3', '"offset_bytes":9007199254740993'),
        json.replace('"offset_bytes":3', '"offset_bytes":4'),
        json.replace('ServeHead', 'FullHead'),
        Buffer.from([0xff, 0xfe, 0x00]),
        Buffer.alloc(64 * 1024 * 1024 + 1, ' '),
      ]
      for (const content of contents) {
        await writeFile(path, content)
        await assert.rejects(store.loadManifest(artifact_id), {
          code: 'ERR_CHECKPOINT_INVALID_RECORD',
          path,
        })
      }
      await writeFile(path, json)
      assert.equal((await store.loadManifest(artifact_id)).artifact_id, artifact_id)
    })
  })

  describe('when the system refuses', () => {
    it('says what it could not do, and keeps the cause', async () => {
      await writeFile(join(folder, 'file'), '')
      const below = new FsArtifactStore(join(folder, 'file', 'store'))
      const refused = {
        code: 'ERR_CHECKPOINT_IO',
        message: /^i\/o error: cannot .*ENOTDIR.*; a part of the path is a file/,
      }
      const descriptor = await serveHead()
      await assert.rejects(below.ensureLayout(), refused)
      await assert.rejects(below.pinHead('h'), refused)
      await assert.rejects(below.storeManifest(descriptor), refused)
      await assert.rejects(below.storeArtifactReader(SERVE_HEAD, [Buffer.from('x')]), refused)
      await assert.rejects(
        below.storeChunkBytes(descriptor.chunks[0]!, Buffer.from('abc')),
        refused,
      )
      await assert.rejects(below.loadManifest(ABC), refused)
      await assert.rejects(below.pinnedHeads(), refused)
      await assert.rejects(below.garbageCollect(), refused)
      await assert.rejects(below.pinHead('h'), ({ cause }: { cause: NodeJS.ErrnoException }) => {
        return cause.code === 'ENOTDIR'
      })
      await assert.rejects(store.storeArtifactFile(SERVE_HEAD, join(folder, 'none')), {
        code: 'ERR_CHECKPOINT_IO',
        message: /ENOENT/,
      })
    })

    it('in the middle of a file, leaves nothing half-written', async function () {
      if (process.platform === 'win32') this.skip()
      const artifact = await storeAbc()
      await store.storeArtifactReader(
        SERVE_HEAD,
        [Buffer.alloc(400_000, 'x')],
        chunkingScheme(1000),
      )
      // A process whose files may have no more than 100 KiB, or twice that, as the shell counts.
      const output = await runElsewhere(
        `
        const store = new FsArtifactStore(${JSON.stringify(root)})
        const spec = ${JSON.stringify(SERVE_HEAD)}
        const tell = ({ code, message, cause }) => console.log(code, cause?.code, message)
        await store.storeArtifactReader(spec, [Buffer.alloc(3_000_000, 'y')]).catch(tell)
        for await (const { record } of store.listManifests()) {
          if (record.bytes_len !== 400_000) continue
          await store.materializeArtifactFile(record, ${JSON.stringify(join(folder, 'out.bin'))}).catch(tell)
        }`,
        'ulimit -f 200',
      )
      const lines = output.trim().split('\n')
      assert.equal(lines.length, 2, output)
      for (const line of lines) assert.match(line, /^ERR_CHECKPOINT_IO EFBIG i\/o error: cannot /)
      const names = [...(await filesBelow(folder)).keys()]
      assert.deepEqual(
        names.filter((name) => isLeftOver(name) || name.includes('out')),
        [],
      )
      assert(await store.hasCompleteArtifact(artifact.artifact_id, { verify: true }))
    })
  })

  describe('stops', () => {
    it('at an abort signal, and leaves no manifest and no half-written file', async () => {
      const bytes = Buffer.alloc(3_000_000, 'x')
      const descriptor = await store.storeArtifactReader(SERVE_HEAD, bytes, chunkingScheme(500_000))
      const other = new FsArtifactStore(join(folder, 'other'))
      const reason = new Error('enough')
      const aborted = { code: 'ABORT_ERR', cause: reason }
      const soon = () => {
        const abort = new AbortController()
        setImmediate(() => setImmediate(() => abort.abort(reason)))
        return { signal: abort.signal }
      }
      const chunking = chunkingScheme(500_000)
      await assert.rejects(other.storeArtifactReader(SERVE_HEAD, bytes, chunking, soon()), aborted)
      await assert.rejects(other.storePrebuiltArtifactBytes(descriptor, bytes, soon()), aborted)
      await assert.rejects(store.materializeArtifactBytes(descriptor, soon()), aborted)
      await assert.rejects(
        store.materializeArtifactFile(descriptor, join(folder, 'out.bin'), soon()),
        aborted,
      )
      await assert.rejects(
        store.hasCompleteArtifact(descriptor.artifact_id, { verify: true, ...soon() }),
        aborted,
      )
      const already = { signal: AbortSignal.abort(reason) }
      await assert.rejects(store.garbageCollect(already), aborted)
      await assert.rejects(store.storeManifest(descriptor, already), { code: 'ABORT_ERR' })
      await sleep(20)
      const files = [...(await filesBelow(folder)).keys()]
      assert.deepEqual(
        files.filter((name) => isLeftOver(name) || /^other.*json|out/.test(name)),
        [],
      )
    })

    it('when the source fails, and leaves no manifest', async () => {
      const error = new Error('the peer hung up')
      function* source() {
        yield Buffer.from('abcdef')
        throw error
      }
      await assert.rejects(
        store.storeArtifactReader(SERVE_HEAD, source(), chunkingScheme(3)),
        error,
      )
      const files = [...(await filesBelow(folder)).keys()]
      assert.deepEqual(
        files.filter((name) => !name.endsWith('.chunk')),
        [],
      )
    })
  })

  describe('is shared', () => {
    it('by writers of the same artifact in several processes: it is whole, and nothing is left over', async () => {
      const script = `
        const store = new FsArtifactStore(${JSON.stringify(root)})
        for (let round = 0; round < 5; round++) {
          const { artifact_id } = await store.storeArtifactReader(
            ${JSON.stringify(SERVE_HEAD)},
            [Buffer.alloc(400_000, 'same bytes everywhere')],
            chunkingScheme(100_000),
          )
          await store.pinHead('serve-head')
          console.log(artifact_id)
        }`
      const outputs = await Promise.all([1, 2, 3].map(() => runElsewhere(script)))
      const ids = new Set(outputs.flatMap((output) => output.trim().split('\n')))
      assert.equal(ids.size, 1)
      const [id = ''] = ids
      assert(await store.hasCompleteArtifact(id, { verify: true }))
      const names = [...(await filesBelow(root)).keys()]
      assert.deepEqual(names.filter(isLeftOver), [])
      assert.equal(
        names.length,
        new Set((await store.loadManifest(id)).chunks.map((c) => c.chunk_id)).size + 2,
      )
    }).timeout(30_000)
  })
})

function isLeftOver(name: string): boolean {
  return name.endsWith('.tmp')
}
