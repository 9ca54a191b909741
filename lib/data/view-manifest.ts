/** The fetch manifest of one view in a cache, kept in step with its upstream (spec planning#shard-cache). */

import { readdir } from 'node:fs/promises'
import { dirname } from 'node:path'

import { writeStreamAtomic } from '../files/atomic-write.js'
import type { MicroShardPlan, ShardFetchEntry } from '../schema/index.js'
import { TorchbedError } from '../errors.js'
import {
  DataError,
  DataHttpError,
  DataIoError,
  DataSchemaError,
  DuplicateEntryError,
  UnsafeLocatorError,
  UnsupportedAdapterError,
} from './errors.js'
import { CheckedManifest } from './fetch-manifest.js'
import { ioError, quote, shardFileName } from './locator.js'
import { manifestPieces } from './manifest-json.js'
import { readWhole, stampOf, withRegularFile } from './regular-file.js'
import type { OperationOptions } from '../core/abort.js'
import type { ShardUpstream, UpstreamManifest } from './upstream.js'

/** What keeping a manifest takes. */
export interface ViewManifestOptions {
  readonly maxBytes: number
  /** Whether the upstream is asked although a manifest is there. */
  readonly revalidate: boolean
  /** Told when an upstream that should have been asked could not be. */
  readonly onUnreachable: (error: DataError) => void
}

/** Holds the parsed manifest between leases: to parse some megabytes for each would be felt. */
export class ViewManifest {
  readonly #path: string
  readonly #options: ViewManifestOptions
  /** What the file held when it had this stamp. */
  #held: { readonly stamp: string; readonly manifest: CheckedManifest } | undefined
  /** The state of the upstream that the held manifest follows. */
  #followed: { readonly manifest: CheckedManifest; origin: string; validator: string } | undefined

  constructor(path: string, options: ViewManifestOptions) {
    this.#path = path
    this.#options = options
  }

  /**
   * The manifest in the cache; undefined when there is none.
   *
   * @throws DataSchemaError when it cannot be read as one; UnsafeLocatorError, DuplicateEntryError, DataIoError
   */
  async load(options: OperationOptions = {}): Promise<CheckedManifest | undefined> {
    const { maxBytes } = this.#options
    this.#held = await withRegularFile(this.#path, async (open) => {
      const stamp = stampOf(open.stats)
      if (this.#held?.stamp === stamp) return this.#held
      const bytes = await readWhole(open, maxBytes)
      const what = `The fetch manifest ${quote(this.#path)}`
      return { stamp, manifest: await CheckedManifest.parse(bytes, what, { ...options, maxBytes }) }
    })
    return this.#held?.manifest
  }

  /** Puts a manifest in place of the one in the cache. The folder must exist. */
  async store(checked: CheckedManifest, { signal }: OperationOptions = {}): Promise<void> {
    const pieces = manifestPieces(checked.manifest)
    try {
      await writeStreamAtomic(this.#path, pieces, signal ? { signal } : {})
    } catch (error) {
      throw error instanceof TorchbedError ? error : ioError('write', this.#path, error)
    }
    this.#held = await withRegularFile(this.#path, (open) =>
      Promise.resolve({ stamp: stampOf(open.stats), manifest: checked }),
    )
  }

  /**
   * The manifest to fetch by: the upstream's, checked and stored. When the upstream cannot be reached, or is of a
   * kind that cannot be asked, the one in the cache stands.
   *
   * @param origin names the upstream, so that its validators are not sent to another
   * @throws ManifestChangedError, PlanMismatchError, DuplicateEntryError, UnsafeLocatorError, DataSchemaError,
   *   DataTooLargeError when the upstream was reached and its manifest is refused; the cache stays as it was
   * @throws DataHttpError, DataIoError, UnsupportedAdapterError when there is none in the cache either
   */
  async follow(
    origin: string,
    upstream: () => ShardUpstream,
    plan: MicroShardPlan,
    options: OperationOptions,
  ): Promise<CheckedManifest> {
    const held = await this.#loadUsable(options)
    const answer =
      held && !this.#options.revalidate
        ? undefined
        : await this.#ask(origin, upstream, held, options)
    if (held) await held.checkAgainst(plan, options)
    if (held && answer === undefined) return held
    if (answer === undefined) throw new DataIoError(`${origin} gave no fetch manifest`)
    const { manifest, validator } = answer
    await manifest.checkAgainst(plan, options)
    const next = held ? await manifest.succeed(held, this.#shardsHere, options) : manifest
    if (next !== held) await this.store(next, options)
    this.#followed = validator === undefined ? undefined : { manifest: next, origin, validator }
    return next
  }

  readonly #shardsHere = async (entries: readonly ShardFetchEntry[]) => {
    const folder = dirname(this.#path)
    const files = await readdir(folder).catch((cause: unknown) => {
      throw ioError('list', folder, cause)
    })
    const names = new Set(files)
    return entries.filter(({ ordinal }) => names.has(shardFileName(ordinal)))
  }

  /** What the upstream has; undefined when the held manifest stands. */
  async #ask(
    origin: string,
    upstream: () => ShardUpstream,
    held: CheckedManifest | undefined,
    { signal }: OperationOptions,
  ): Promise<{ manifest: CheckedManifest; validator: string | undefined } | undefined> {
    const { maxBytes, onUnreachable } = this.#options
    const followed = this.#followed
    const known = held !== undefined && followed?.manifest === held && followed.origin === origin
    let answer: UpstreamManifest | undefined
    try {
      const validator = known ? followed.validator : undefined
      answer = await upstream().readManifest({ maxBytes, validator, signal })
    } catch (error) {
      if (!held || !isUnreachable(error)) throw error
      if (!(error instanceof UnsupportedAdapterError)) onUnreachable(error)
      return undefined
    }
    if (answer === undefined) return undefined
    const what = `The fetch manifest of ${origin}`
    const manifest = await CheckedManifest.parse(answer.bytes, what, { signal, maxBytes })
    return { manifest, validator: answer.validator }
  }

  /** A manifest in the cache that is damaged is as good as none. */
  async #loadUsable(options: OperationOptions): Promise<CheckedManifest | undefined> {
    try {
      return await this.load(options)
    } catch (error) {
      const damaged = [DataSchemaError, UnsafeLocatorError, DuplicateEntryError]
      if (damaged.some((kind) => error instanceof kind)) return undefined
      throw error
    }
  }
}

function isUnreachable(error: unknown): error is DataError {
  return (
    error instanceof DataHttpError ||
    error instanceof DataIoError ||
    error instanceof UnsupportedAdapterError
  )
}
