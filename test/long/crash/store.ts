/** The artifact store under crashes: what a process does until it is killed, and what must hold after. */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { chunkingScheme, FsArtifactStore } from '../../../lib/store/index.js'
import { removeLeftoverTempFiles } from '../../../lib/files/atomic-write.js'
import {
  contentId,
  type ContributionReceipt,
  type HeadDescriptor,
} from '../../../lib/schema/index.js'
import { begin, done, report, type Promises } from './promises.js'
import { bytesOf, Random } from './random.js'
import { CrashTarget, type CrashSettings } from './target.js'

/** Chunk sizes, in bytes. Blocks of each size are shared by all artifacts. */
const CHUNK_SIZES = [1000, 16_384] as const
const SHARED_BLOCKS = 12

/** Long artifacts go through the store's own thread. */
const LONG_CHUNK_SIZE = 300_000

export class StoreTarget extends CrashTarget {
  readonly #root: string
  readonly #files: string
  readonly #store: FsArtifactStore
  readonly #pinned = new Map<string, { hash: string; headId: string | null }>()
  readonly #loose = new Set<string>()

  constructor(folder: string, settings: CrashSettings) {
    super(settings)
    this.#root = join(folder, 'store')
    this.#files = join(folder, 'files')
    const { seed } = settings
    this.#store = new FsArtifactStore(this.#root, {
      durability: seed % 2 === 0 ? 'full' : 'none',
    })
  }

  /** Chunks that nobody needs, which a collector takes while a writer finds that it needs them. */
  async prepare(): Promise<void> {
    await mkdir(this.#files, { recursive: true })
    for (const size of CHUNK_SIZES) {
      for (let block = 0; block < SHARED_BLOCKS; block++) {
        const bytes = bytesOf(block, size)
        const chunk_hash = contentId(bytes)
        const chunk_id: string = chunk_hash
        const chunk = { chunk_id, chunk_hash, offset_bytes: 0, length_bytes: size }
        await this.#store.storeChunkBytes(chunk, bytes)
      }
    }
  }

  async step(random: Random): Promise<void> {
    const choice = random.below(100)
    if (choice < 35) await this.#keep(random, null)
    else if (choice < 45) await this.#keepByHead(random)
    else if (choice < 53) await this.#unpin(random)
    else if (choice < 63) await this.#storeLoose(random)
    else if (choice < 72) await this.#writeHead(random)
    else if (choice < 78) await this.#writeReceipt(random)
    else if (choice < 88) await this.#collect()
    else await this.#readBack(random)
  }

  #name(text: string): string {
    return `w${this.settings.writer}-${text}`
  }

  async #put(random: Random, headId: string | null, pin: boolean): Promise<[string, string]> {
    const isLong = random.below(12) === 0
    const size = isLong ? LONG_CHUNK_SIZE : random.pick(CHUNK_SIZES)
    const blocks = Array.from({ length: 1 + random.below(isLong ? 8 : 12) }, () =>
      bytesOf(random.below(2) === 0 ? random.below(SHARED_BLOCKS) : random.below(2 ** 31), size),
    )
    blocks.push(bytesOf(random.below(2 ** 31), 1 + random.below(size)))
    const spec = {
      kind: 'FullHead',
      head_id: headId,
      precision: 'Fp32',
      // Each writer has its own artifacts, all share their chunks.
      model_schema_hash: this.#name('schema'),
      record_format: 'bytes',
    } as const
    const bytes = Buffer.concat(blocks)
    const { artifact_id } =
      random.below(2) === 0
        ? await this.#store.storeArtifactReader(spec, blocks, chunkingScheme(size), { pin })
        : await this.#store.storeArtifactBytes(spec, bytes, chunkingScheme(size), { pin })
    return [artifact_id, sha256(bytes)]
  }

  async #keep(random: Random, headId: string | null): Promise<void> {
    const [id, hash] = await this.#put(random, headId, headId === null)
    this.#pinned.set(id, { hash, headId })
    if (headId === null) done(`pin ${id}`, 'pinned')
    done(`artifact ${id}`, hash)
  }

  async #keepByHead(random: Random): Promise<void> {
    const headId = this.#name(`head ${random.below(4)}`)
    const name = `head pin ${headId}`
    begin(name, 'pinned')
    await this.#store.pinHead(headId)
    done(name, 'pinned')
    await this.#keep(random, headId)
  }

  async #unpin(random: Random): Promise<void> {
    if (this.#pinned.size === 0) return
    const [id, { headId }] = random.pick([...this.#pinned])
    const lost = [...this.#pinned].filter(([other, value]) =>
      headId === null ? other === id : value.headId === headId,
    )
    for (const [other] of lost) {
      begin(`artifact ${other}`, null)
      this.#pinned.delete(other)
    }
    const name = headId === null ? `pin ${id}` : `head pin ${headId}`
    begin(name, null)
    if (headId === null) await this.#store.unpinArtifact(id)
    else await this.#store.unpinHead(headId)
    done(name, null)
    if (this.settings.writers === 1) for (const [other] of lost) this.#loose.add(other)
  }

  async #storeLoose(random: Random): Promise<void> {
    const [id, hash] = await this.#put(random, null, false)
    // Another writer's collector may take it at any time.
    if (this.settings.writers > 1 || this.#pinned.has(id)) return
    this.#loose.add(id)
    done(`loose ${id}`, hash)
  }

  async #writeHead(random: Random): Promise<void> {
    const step = random.below(2 ** 31)
    const head: HeadDescriptor = { ...HEAD, head_id: this.#name(`head/${random.below(3)}`) }
    const name = `head ${head.head_id}`
    begin(name, step)
    await this.#store.storeHead({ ...head, global_step: step }, { replace: true })
    done(name, step)
  }

  async #writeReceipt(random: Random): Promise<void> {
    const weight = random.below(2 ** 31)
    const receipt_id = this.#name(`receipt-${random.below(3)}`)
    const name = `receipt ${receipt_id}`
    begin(name, weight)
    const receipt = { ...RECEIPT, receipt_id, accepted_weight: weight }
    await this.#store.storeReceipt(receipt, { replace: true })
    done(name, weight)
  }

  async #collect(): Promise<void> {
    for (const id of this.#loose) begin(`loose ${id}`, null)
    await this.#store.garbageCollect()
    this.#loose.clear()
  }

  async #readBack(random: Random): Promise<void> {
    if (this.#pinned.size === 0) return
    const [id, { hash }] = random.pick([...this.#pinned])
    const manifest = await this.#store.loadManifest(id)
    if (random.below(2) === 0) {
      const found = sha256(await this.#store.materializeArtifactBytes(manifest))
      if (found !== hash) report({ type: 'problem', text: `read ${found} for ${hash} of ${id}` })
      return
    }
    const name = this.#name(`file-${random.below(2)}`)
    begin(`file ${name}`, hash)
    await this.#store.materializeArtifactFile(manifest, join(this.#files, name))
    done(`file ${name}`, hash)
  }

  async *check(promises: Promises): AsyncGenerator<string> {
    yield* this.#checkContents()
    yield* this.#checkPromises(promises)
    for (const [name, values] of Object.entries(promises)) {
      const id = /^loose (.*)$/.exec(name)?.[1]
      if (id !== undefined) yield* this.#checkArtifact(id, values, name)
    }
    const strict = new FsArtifactStore(this.#root)
    await strict.garbageCollect()
    const chunks = yield* this.#checkContents()
    yield* this.#checkPromises(promises)
    yield* this.#checkFiles(chunks)
    await removeLeftoverTempFiles(this.#files, { maxAgeMs: 0 })
    for (const name of await readdir(this.#files)) {
      if (!name.startsWith('w')) yield `${name} is left beside a materialised file`
    }
    const again = await strict.garbageCollect()
    if (again.removed_chunks.length + again.removed_manifests.length + again.removed_temp_files > 0)
      yield `a second collection found more: ${JSON.stringify(again)}`
    const random = new Random(this.settings.seed)
    const [id, hash] = await this.#put(random, null, true)
    yield* this.#checkArtifact(id, [hash], 'stored anew')
  }

  /** Whatever is listed is whole; yields what is not, returns the chunks of all manifests. */
  async *#checkContents(): AsyncGenerator<string, Set<string>> {
    const chunks = new Set<string>()
    for await (const found of this.#store.listManifests()) {
      if ('error' in found) yield String(found.error)
      else {
        const { artifact_id } = found.record
        for (const { chunk_id } of found.record.chunks) chunks.add(chunk_id)
        if (!(await this.#store.hasCompleteArtifact(artifact_id, { verify: true })))
          yield `artifact ${artifact_id} is listed, but not complete`
      }
    }
    for await (const found of this.#store.listHeads())
      if ('error' in found) yield String(found.error)
    for await (const found of this.#store.listReceipts())
      if ('error' in found) yield String(found.error)
    const folder = join(this.#root, 'artifacts', 'chunks')
    for (const name of await readdir(folder)) {
      if (!name.endsWith('.chunk')) continue
      const found = contentId(await readFile(join(folder, name)))
      if (`${found}.chunk` !== name) yield `chunk ${name} has the bytes of ${found}`
    }
    return chunks
  }

  async *#checkPromises(promises: Promises): AsyncGenerator<string> {
    const pins = await this.#store.pinnedArtifacts()
    const headPins = await this.#store.pinnedHeads()
    const isPinned = (set: ReadonlySet<string>, id: string) => (set.has(id) ? 'pinned' : null)
    for (const [name, values] of Object.entries(promises)) {
      const [, kind = '', id = ''] = /^(\w+(?: pin)?) (.*)$/.exec(name)!
      let found: string | number | null
      if (kind === 'loose') continue
      if (kind === 'artifact') {
        yield* this.#checkArtifact(id, values, name)
        continue
      }
      if (kind === 'pin') found = isPinned(pins, id)
      else if (kind === 'head pin') found = isPinned(headPins, id)
      else if (kind === 'head') found = await orNull(this.#store.loadHead(id), (r) => r.global_step)
      else if (kind === 'receipt')
        found = await orNull(this.#store.loadReceipt(id), (r) => r.accepted_weight)
      else found = await orNull(readFile(join(this.#files, id)), sha256)
      if (!values.includes(found)) yield `${name} is ${found}, not ${values.join(' or ')}`
    }
  }

  async *#checkArtifact(
    id: string,
    values: Promises[string],
    name: string,
  ): AsyncGenerator<string> {
    const found = await orNull(this.#store.loadManifest(id), async (manifest) =>
      sha256(await this.#store.materializeArtifactBytes(manifest)),
    )
    // One that has been given up may be there still: only a collector takes it.
    const isRight = values.includes(found) || (found !== null && values.includes(null))
    if (!isRight) yield `${name} is ${found}, not ${values.join(' or ')}`
  }

  /** After a collection there is nothing but what somebody needs. */
  async *#checkFiles(chunks: ReadonlySet<string>): AsyncGenerator<string> {
    const pins = await this.#store.pinnedArtifacts()
    const headPins = await this.#store.pinnedHeads()
    const entries = await readdir(this.#root, { recursive: true, withFileTypes: true })
    for (const entry of entries) {
      if (!entry.isFile()) continue
      const path = relative(this.#root, join(entry.parentPath, entry.name))
      const isNeeded = /^artifacts\/chunks\/(.*)\.chunk$/.exec(path)?.[1]
      if (isNeeded !== undefined ? !chunks.has(isNeeded) : !/\.(json|pin)$/.test(path))
        yield `${path} is left after a collection`
    }
    for await (const found of this.#store.listManifests()) {
      if ('error' in found) continue
      const { artifact_id, head_id } = found.record
      if (!pins.has(artifact_id) && (head_id === null || !headPins.has(head_id)))
        yield `artifact ${artifact_id} was not collected`
    }
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function orNull<T, R>(value: Promise<T>, use: (value: T) => R | Promise<R>) {
  try {
    return await use(await value)
  } catch (error) {
    const { code = '' } = error as { code?: string }
    if (code === 'ENOENT' || /UNKNOWN_(ARTIFACT|HEAD|RECEIPT)$/.test(code)) return null
    throw error
  }
}

const HEAD: HeadDescriptor = {
  head_id: '',
  study_id: 'study',
  experiment_id: 'experiment',
  revision_id: 'revision',
  artifact_id: 'artifact',
  parent_head_id: null,
  global_step: 0,
  created_at: '2026-01-02T03:04:05Z',
  metrics: { loss: 1, steps: 2n },
}

const RECEIPT: ContributionReceipt = {
  receipt_id: '',
  peer_id: 'peer',
  study_id: 'study',
  experiment_id: 'experiment',
  revision_id: 'revision',
  base_head_id: 'head',
  artifact_id: 'artifact',
  accepted_at: '2026-01-02T03:04:05Z',
  accepted_weight: 1,
  metrics: {},
  merge_cert_id: null,
}
