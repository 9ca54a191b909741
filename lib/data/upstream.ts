/** Where shards come from: a folder or a web server (spec planning#shard-cache). */

import type { ShardFetchEntry, UpstreamAdapter } from '../schema/index.js'
import { FETCH_MANIFEST_NAME, HTTP_IDLE_TIMEOUT_MS, HTTP_TOTAL_TIMEOUT_MS } from './constants.js'
import { download, type HttpTimeouts } from './download.js'
import {
  DataHttpError,
  DataIoError,
  LengthMismatchError,
  UnsupportedAdapterError,
} from './errors.js'
import { quote, resolveInside, resolveUrl } from './locator.js'
import {
  openRegularFile,
  piecesOf,
  readWhole,
  stampOf,
  tooLarge,
  withRegularFile,
} from './regular-file.js'
import type { OperationOptions } from '../core/abort.js'

/** A manifest as it lies upstream. */
export interface UpstreamManifest {
  readonly bytes: Uint8Array
  /** Names this state of the manifest, where the upstream can; see {@link ReadManifestOptions.validator}. */
  readonly validator: string | undefined
}

/** What reading a manifest takes. */
export interface ReadManifestOptions extends OperationOptions {
  readonly maxBytes: number
  /** The validator that came with the last manifest: if that has not changed, it need not be sent again. */
  readonly validator?: string | undefined
}

/** A source of manifests and shards. Nothing that it gives is trusted. */
export interface ShardUpstream {
  /**
   * The manifest; undefined when it is still the one of the validator.
   *
   * @throws DataHttpError, DataIoError when it cannot be reached
   */
  readManifest(options: ReadManifestOptions): Promise<UpstreamManifest | undefined>
  /**
   * The bytes that an entry points to, in pieces that are valid until the next is asked for.
   *
   * @throws DataHttpError, DataIoError, LengthMismatchError, UnsafeLocatorError
   */
  readShard(entry: ShardFetchEntry, options: OperationOptions): AsyncIterable<Uint8Array>
}

/**
 * Opens a `Local` or `Http` upstream.
 *
 * @param timeouts for `Http`; default {@link HTTP_IDLE_TIMEOUT_MS} and {@link HTTP_TOTAL_TIMEOUT_MS}
 * @throws UnsupportedAdapterError for every other kind, and for a base URL that cannot be one
 */
export function openUpstream(
  adapter: UpstreamAdapter,
  timeouts: Partial<HttpTimeouts> = {},
): ShardUpstream {
  if ('Local' in adapter) return new LocalUpstream(adapter.Local.root)
  if ('Http' in adapter) {
    return new HttpUpstream(baseUrl(adapter.Http.base_url), {
      idleMs: HTTP_IDLE_TIMEOUT_MS,
      totalMs: HTTP_TOTAL_TIMEOUT_MS,
      ...timeouts,
    })
  }
  const kind = Object.keys(adapter).join()
  throw new UnsupportedAdapterError(
    `Shards cannot be fetched from an upstream of kind ${kind}; use Local or Http, ` +
      'or put manifest and shards into the cache beforehand',
  )
}

class LocalUpstream implements ShardUpstream {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  async readManifest(options: ReadManifestOptions): Promise<UpstreamManifest | undefined> {
    const path = await resolveInside(this.#root, FETCH_MANIFEST_NAME)
    const found = await withRegularFile(path, async (open) => {
      const stamp = stampOf(open.stats)
      if (stamp === options.validator) return 'unchanged'
      const bytes = await readWhole(open, options.maxBytes)
      const settled = Date.now() - Number(open.stats.mtimeMs) > TIMESTAMP_GRAIN_MS
      return { bytes, validator: settled ? stamp : undefined }
    })
    if (found === undefined) throw missing(path)
    return found === 'unchanged' ? undefined : found
  }

  async *readShard(
    entry: ShardFetchEntry,
    { signal }: OperationOptions,
  ): AsyncGenerator<Uint8Array> {
    const path = await resolveInside(this.#root, entry.locator)
    const opened = await openRegularFile(path)
    if (!opened) throw missing(path)
    try {
      checkAnnounced(quote(path), Number(opened.stats.size), entry)
      yield* piecesOf(opened, signal)
    } finally {
      await opened.file.close()
    }
  }
}

class HttpUpstream implements ShardUpstream {
  readonly #base: URL
  readonly #timeouts: HttpTimeouts

  constructor(base: URL, timeouts: HttpTimeouts) {
    this.#base = base
    this.#timeouts = timeouts
  }

  async readManifest(options: ReadManifestOptions): Promise<UpstreamManifest | undefined> {
    const { maxBytes, validator, signal } = options
    const url = resolveUrl(this.#base, FETCH_MANIFEST_NAME)
    const seen: { unchanged: boolean; etag?: string | undefined } = { unchanged: false }
    const body = download(url, {
      timeouts: this.#timeouts,
      headers: validator === undefined ? {} : { 'if-none-match': validator },
      signal,
      accept: (response) => {
        seen.unchanged = response.status === 304 && validator !== undefined
        if (seen.unchanged) return false
        checkStatus(url, response)
        const length = announcedLength(response)
        if (length !== undefined && length > maxBytes) throw tooLarge(url.href, length, maxBytes)
        seen.etag = response.headers.get('etag') ?? undefined
        return true
      },
    })
    const pieces: Uint8Array[] = []
    let length = 0
    for await (const piece of body) {
      length += piece.byteLength
      if (length > maxBytes) throw tooLarge(url.href, length, maxBytes)
      pieces.push(piece)
    }
    return seen.unchanged ? undefined : { bytes: Buffer.concat(pieces), validator: seen.etag }
  }

  readShard(entry: ShardFetchEntry, { signal }: OperationOptions): AsyncIterable<Uint8Array> {
    const url = resolveUrl(this.#base, entry.locator)
    return download(url, {
      timeouts: this.#timeouts,
      signal,
      accept: (response) => {
        checkStatus(url, response)
        const length = announcedLength(response)
        if (length !== undefined) checkAnnounced(url.href, length, entry)
        return true
      },
    })
  }
}

/** A file changed within this time, in milliseconds, could change again without a new timestamp. */
const TIMESTAMP_GRAIN_MS = 2000

function baseUrl(text: string): URL {
  const base = URL.canParse(text) ? new URL(text) : undefined
  const fault =
    base === undefined
      ? 'is not a URL'
      : base.protocol !== 'http:' && base.protocol !== 'https:'
        ? 'is neither http nor https'
        : base.search !== '' || base.hash !== ''
          ? 'has a query or a fragment, to which no file name can be added'
          : base.username !== '' || base.password !== ''
            ? 'has a user name or a password, which are not sent'
            : undefined
  if (base === undefined || fault !== undefined) {
    throw new UnsupportedAdapterError(
      `The base_url ${quote(text)} ${fault ?? ''}; give one such as "https://host/dataset"`,
    )
  }
  return new URL(`${base.origin}${base.pathname.replace(/\/+$/, '')}/`)
}

function checkStatus(url: URL, { ok, status }: Response): void {
  if (ok) return
  throw new DataHttpError(
    `${url.href} answered with status ${status}; check the base_url and the locators`,
    url.href,
    status,
  )
}

/** How long a body says it is; undefined when it does not say, or counts compressed bytes. */
function announcedLength({ headers }: Response): number | undefined {
  const length = headers.get('content-length')
  return length === null || headers.has('content-encoding') ? undefined : Number(length)
}

/** Saves a transfer that would end in an error. */
function checkAnnounced(what: string, length: number, entry: ShardFetchEntry): void {
  if (length === entry.bytes_len) return
  throw new LengthMismatchError(
    `${what} has ${length} bytes, but its fetch manifest says ${entry.bytes_len}; ` +
      'one of the two is out of date',
  )
}

function missing(path: string): DataIoError {
  return new DataIoError(`There is no file ${quote(path)}; check the upstream's root`)
}
