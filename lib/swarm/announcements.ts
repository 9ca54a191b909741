/**
 * What a peer knows: announcements of every kind, each once, under the caps and rules of {@link KINDS}, and the bytes of the
 * snapshot that others ask for.
 *
 * Each record is encoded once. The snapshot is put together from these bytes when it is asked for after a change, and is the
 * same buffer until the next one.
 */

import { abortError, throwIfAborted, type OperationOptions } from '../core/abort.js'
import { compareTimestamps } from '../schema/index.js'
import {
  PubsubPayload,
  type ControlPlaneSnapshot,
  type HeadAnnouncement,
  type PubsubKind,
} from '../schema/records/network/index.js'
import { encodeWireCbor } from '../schema/wire-cbor.js'
import type { KnownAnnouncements } from './swarm.js'
import { MAX_KEPT_WINDOWS } from './limits.js'
import { KINDS, KINDS_IN_ORDER, type AnnouncementOf, type KindRules } from './kinds.js'

/** A record that is known. */
interface Known {
  readonly record: unknown
  /** CBOR of the record, as peers send it. */
  readonly bytes: Uint8Array
}

/** Called with every announcement that is new or has changed, after it is known. */
export type AnnouncementListener = (payload: PubsubPayload) => void

/** All that a peer knows of its network. Ordered as heard; nothing here asks or tells others. */
export class Announcements implements KnownAnnouncements {
  readonly #lists = new Map<PubsubKind, Map<string, Known>>(
    KINDS_IN_ORDER.map((kind) => [kind, new Map()]),
  )
  readonly #listeners = new Set<AnnouncementListener>()
  readonly #ends = new Set<() => void>()
  #version = 0
  #snapshot: Uint8Array | undefined

  /** Counts up with every change. */
  get version(): number {
    return this.#version
  }

  /** Number of records of all kinds. */
  get size(): number {
    let size = 0
    for (const list of this.#lists.values()) size += list.size
    return size
  }

  /** Tells of every announcement that is new or has changed; returns what ends that. */
  listen(listener: AnnouncementListener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** The records of a kind, in the order in which they came or changed. */
  of<K extends PubsubKind>(kind: K): AnnouncementOf<K>[] {
    return [...this.#list(kind).values()].map(({ record }) => record as AnnouncementOf<K>)
  }

  async *follow<K extends PubsubKind>(
    kind: K,
    { signal }: OperationOptions = {},
  ): AsyncGenerator<AnnouncementOf<K>, void> {
    const rules = KINDS[kind] as unknown as KindRules<AnnouncementOf<K>>
    const waiting = new Map(this.of(kind).map((record) => [rules.key(record), record]))
    const state: { ended: boolean; wake?: () => void } = { ended: false }
    const stopListening = this.listen((payload) => {
      if (!(kind in payload)) return
      const record = (payload as unknown as Record<K, AnnouncementOf<K>>)[kind]
      const key = rules.key(record)
      waiting.delete(key)
      waiting.set(key, record)
      if (waiting.size > rules.cap) waiting.delete(waiting.keys().next().value ?? '')
      state.wake?.()
    })
    const end = () => {
      state.ended = true
      state.wake?.()
    }
    const onAbort = () => state.wake?.()
    this.#ends.add(end)
    signal?.addEventListener('abort', onAbort)
    try {
      throwIfAborted(signal, 'follow announcements')
      for (;;) {
        for (const [key, record] of waiting) {
          waiting.delete(key)
          yield record
          throwIfAborted(signal, 'follow announcements')
        }
        if (state.ended) return
        await new Promise<void>((resolve) => {
          state.wake = resolve
          if (waiting.size > 0 || state.ended || signal?.aborted === true) resolve()
        })
        if (signal?.aborted === true) throw abortError(signal, 'follow announcements')
      }
    } finally {
      stopListening()
      this.#ends.delete(end)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Ends all that {@link follow}s, once it has what is known. */
  end(): void {
    for (const end of this.#ends) end()
  }

  /**
   * Takes note of an announcement.
   *
   * @returns whether it is news: it was not known, or says more than what was
   * @throws ConfigError when it cannot be written
   */
  add(payload: PubsubPayload): boolean {
    const [kind, record] = Object.entries(payload)[0] as [PubsubKind, unknown]
    const kept = this.#put(kind, record)
    if (kept === undefined) return false
    this.#snapshot = undefined
    const news = { [kind]: kept } as unknown as PubsubPayload
    for (const listener of this.#listeners) listener(news)
    return true
  }

  /**
   * Takes note of all that a snapshot holds.
   *
   * @returns the number of announcements that are news
   */
  merge(snapshot: ControlPlaneSnapshot): number {
    let news = 0
    for (const kind of KINDS_IN_ORDER) {
      for (const record of snapshot[KINDS[kind].list]) {
        if (this.add({ [kind]: record } as unknown as PubsubPayload)) news += 1
      }
    }
    return news
  }

  /** The response to a request for the snapshot; the same buffer until something changes, not to be written to. */
  snapshotResponse(): Uint8Array {
    this.#snapshot ??= concatenated([SNAPSHOT_VARIANT, ...this.#snapshotParts()])
    return this.#snapshot
  }

  /** The snapshot by itself, as it is kept in a file. */
  snapshotBytes(): Uint8Array {
    return concatenated(this.#snapshotParts())
  }

  #snapshotParts(): Uint8Array[] {
    const parts = [head(MAP, KINDS_IN_ORDER.length)]
    for (const kind of KINDS_IN_ORDER) {
      const list = this.#list(kind)
      parts.push(encodeWireCbor(KINDS[kind].list), head(ARRAY, list.size))
      for (const { bytes } of list.values()) parts.push(bytes)
    }
    return parts
  }

  #list(kind: PubsubKind): Map<string, Known> {
    const list = this.#lists.get(kind)
    if (list === undefined) throw new TypeError(`there is no kind ${kind}`)
    return list
  }

  /** The record as it is kept; undefined when it is no news. */
  #put(kind: PubsubKind, given: unknown): unknown {
    // Every kind has the rules of its own records.
    const rules = KINDS[kind] as unknown as KindRules<unknown>
    const list = this.#list(kind)
    const record = rules.normal?.(given) ?? given
    const key = rules.key(record)
    const known = list.get(key)
    const kept =
      known === undefined ? record : (rules.merge?.(known.record, record) ?? known.record)
    if (known !== undefined && kept === known.record) return undefined
    this.#version += 1
    list.delete(key)
    list.set(key, { record: kept, bytes: recordBytes(kind, kept) })
    this.#trim(kind, rules, list)
    return list.has(key) ? kept : undefined
  }

  /** Drops what is over the cap, and what belongs to windows that have passed. */
  #trim(kind: PubsubKind, rules: KindRules<unknown>, list: Map<string, Known>): void {
    if (rules.windows !== undefined) trimWindows(rules.windows, list)
    if (list.size <= rules.cap) return
    const victim = kind === 'Head' ? this.#leastHead() : list.keys().next().value
    if (victim !== undefined) list.delete(victim)
  }

  /** The head to drop: one that nothing names before others, then that of the lowest step, then the oldest. */
  #leastHead(): string | undefined {
    const named = new Set<string>([
      ...this.of('Directory').flatMap(({ entries }) => entries.map((e) => e.current_head_id ?? '')),
      ...this.of('Merge').map(({ certificate }) => certificate.merged_head_id),
      ...this.of('ValidationQuorum').map(({ certificate }) => certificate.merged_head_id),
      ...this.of('TrainerPromotionAttestation').map(
        ({ attestation }) => attestation.merged_head_id,
      ),
      ...this.of('DiffusionPromotionCertificate').map(
        ({ certificate }) => certificate.merged_head_id,
      ),
    ])
    const rank = (a: HeadAnnouncement, b: HeadAnnouncement) =>
      Number(named.has(a.head.head_id)) - Number(named.has(b.head.head_id)) ||
      a.head.global_step - b.head.global_step ||
      compareTimestamps(a.announced_at, b.announced_at)
    let least: { readonly key: string; readonly record: HeadAnnouncement } | undefined
    for (const [key, known] of this.#list('Head')) {
      const record = known.record as HeadAnnouncement
      if (least === undefined || rank(record, least.record) < 0) least = { key, record }
    }
    return least?.key
  }
}

function trimWindows(
  windowOf: (record: unknown) => { readonly overlay: string; readonly window: number },
  list: Map<string, Known>,
): void {
  const windows = new Map<string, Set<number>>()
  for (const { record } of list.values()) {
    const { overlay, window } = windowOf(record)
    windows.set(overlay, (windows.get(overlay) ?? new Set()).add(window))
  }
  for (const [key, { record }] of list) {
    const { overlay, window } = windowOf(record)
    const latest = [...(windows.get(overlay) ?? [])].sort((a, b) => b - a)
    if (latest.indexOf(window) >= MAX_KEPT_WINDOWS) list.delete(key)
  }
}

const MAP = 0xa0
const ARRAY = 0x80

/** `{ Snapshot: … }` up to the snapshot. */
const SNAPSHOT_VARIANT = concatenated([head(MAP, 1), encodeWireCbor('Snapshot')])

/** The CBOR of a record without the name of its kind. */
function recordBytes(kind: PubsubKind, record: unknown): Uint8Array {
  const variant = PubsubPayload.toWireCbor({ [kind]: record } as unknown as PubsubPayload)
  return variant.subarray(1 + encodeWireCbor(kind).length)
}

/** The head of an array or a map of fewer than 65,536 items. */
function head(major: number, length: number): Uint8Array {
  if (length < 24) return Uint8Array.of(major | length)
  if (length < 0x100) return Uint8Array.of(major | 24, length)
  return Uint8Array.of(major | 25, length >> 8, length & 0xff)
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts)
}
