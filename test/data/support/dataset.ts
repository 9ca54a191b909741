/** A small dataset with real files, and a web server that can be told to misbehave. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { fromMicroshards, MicroShardPlanner, ShardCache } from '../../../lib/data/index.js'
import type { ShardCacheOptions } from '../../../lib/data/index.js'
import {
  contentId,
  ShardFetchManifest,
  type CachedMicroShard,
  type DatasetRegistration,
  type MicroShardPlan,
  type ShardFetchEntry,
  type UpstreamAdapter,
} from '../../../lib/schema/index.js'
import { sizing, view } from './records.js'

/** A view of some microshards whose contents are `shard <ordinal>`, upstream and cache in temporary folders. */
export class Dataset {
  readonly plan: MicroShardPlan
  readonly manifest: ShardFetchManifest
  readonly folder: string
  /** Where the upstream's files are. */
  readonly source: string
  readonly cacheRoot: string

  private constructor(plan: MicroShardPlan, manifest: ShardFetchManifest, folder: string) {
    this.plan = plan
    this.manifest = manifest
    this.folder = folder
    this.source = join(folder, 'source')
    this.cacheRoot = join(folder, 'cache')
  }

  /** Plans the view and writes its files upstream. */
  static async make(shards = 3, viewId = 'view-1'): Promise<Dataset> {
    const planner = new MicroShardPlanner({ target_microshard_bytes: 1 })
    const plan = await planner.plan(view(viewId), sizing(shards))
    const manifest = await fromMicroshards(viewId, plan.microshards, ({ ordinal }) =>
      content(ordinal),
    )
    const folder = await mkdtemp(join(tmpdir(), 'torchbed-data-'))
    const dataset = new Dataset(plan, manifest, folder)
    for (const { ordinal, locator } of manifest.entries)
      await dataset.put(locator, content(ordinal))
    await dataset.publish(manifest.entries)
    return dataset
  }

  /** Writes a file upstream. */
  async put(locator: string, bytes: Uint8Array | string): Promise<void> {
    const path = join(this.source, locator)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, bytes)
  }

  /** Writes the upstream's manifest. */
  async publish(entries: readonly ShardFetchEntry[], viewId = this.manifest.dataset_view_id) {
    const manifest = { dataset_view_id: viewId, entries }
    await this.put('fetch-manifest.json', ShardFetchManifest.toJson(manifest, { pretty: true }))
  }

  entry(ordinal: number): ShardFetchEntry {
    return this.manifest.entries[ordinal]!
  }

  id(ordinal: number): string {
    return this.plan.microshards[ordinal]!.microshard_id
  }

  cache(options?: ShardCacheOptions): ShardCache {
    return new ShardCache(this.cacheRoot, options)
  }

  /** Fetches microshards by ordinal, in the order given. */
  fetch(
    ordinals: readonly number[],
    {
      cache = this.cache(),
      upstream = { Local: { root: this.source } },
      signal,
    }: { cache?: ShardCache; upstream?: UpstreamAdapter; signal?: AbortSignal } = {},
  ): Promise<CachedMicroShard[]> {
    const lease = {
      dataset_view_id: this.plan.dataset_view.dataset_view_id,
      microshards: ordinals.map((ordinal) => this.id(ordinal)),
    }
    return cache.fetchLeaseMicroshards(this.registration(upstream), this.plan, lease, { signal })
  }

  registration(upstream: UpstreamAdapter): DatasetRegistration {
    const manifest = {
      dataset_id: 'dataset-1',
      source_uri: 'test',
      format: 'bin',
      manifest_hash: 'manifest-1',
      metadata: {},
    }
    return { manifest, view: this.plan.dataset_view, upstream }
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true })
  }
}

/** The content of a microshard. */
export function content(ordinal: number): Buffer {
  return Buffer.from(`shard ${ordinal}`)
}

/** An entry with other bytes behind it. */
export function withContent(entry: ShardFetchEntry, bytes: Uint8Array): ShardFetchEntry {
  return { ...entry, content_hash: contentId(bytes), bytes_len: bytes.length }
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** A web server on loopback. It answers by path; the paths of all requests are kept. */
export class WebServer {
  readonly requests: string[] = []
  readonly handlers = new Map<string, Handler>()
  readonly #server = createServer((request, response) => {
    const path = request.url ?? ''
    this.requests.push(path)
    const handler = this.handlers.get(path)
    if (handler) handler(request, response)
    else response.writeHead(404).end('no such file')
  })

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Answers with these bytes. */
  serve(path: string, bytes: Uint8Array | string): void {
    this.handlers.set(path, (_request, response) => response.end(bytes))
  }

  /** Serves a dataset's manifest and shards below `/data/`. */
  serveDataset(dataset: Dataset, entries = dataset.manifest.entries): void {
    const manifest = { ...dataset.manifest, entries }
    this.serve('/data/fetch-manifest.json', ShardFetchManifest.toJson(manifest))
    for (const { ordinal, locator } of entries) this.serve(`/data/${locator}`, content(ordinal))
  }

  get upstream(): UpstreamAdapter {
    return { Http: { base_url: `${this.origin}/data/` } }
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }
}
