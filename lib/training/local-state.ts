/**
 * What a peer keeps of its own training beside its shard cache, so that a kill costs it nothing: the local model,
 * the inner optimizer, the sampler's position, whatever `save_training_state` writes (spec hooks#training-state).
 *
 * `Replace` takes the canonical model and nothing else, so there is nothing to keep. Under `RootEma` the local model
 * lives on, and without it a resumed run is another run.
 *
 * One window is two files, `window-<n>.state` and then `window-<n>.json`, which says what it belongs to. Both are
 * complete or absent. The state of the window before stays until the next is saved: a kill between a peer's window
 * and its promotion does that window again, from the state before it.
 */

import { open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { HookMissingError, TorchbedError, UnknownMethodError } from '../errors.js'
import { syncFolder, writeFileAtomic } from '../files/atomic-write.js'
import { makeFolder } from '../files/make-folder.js'
import type { ModelHandle } from '../project/model-handle.js'
import type { TorchProject } from '../project/torch-project.js'
import type { CallOptions } from '../runtime/python-runtime.js'
import {
  ExperimentId,
  HeadId,
  PeerId,
  record,
  RevisionId,
  StudyId,
  u64,
  type HeadDescriptor,
} from '../schema/index.js'
import { readRecord } from '../store/files.js'

const StateRecord = record('local state', {
  study_id: StudyId,
  experiment_id: ExperimentId,
  revision_id: RevisionId,
  peer_id: PeerId,
  /** What the peer published of the window. */
  head_id: HeadId,
  base_head_id: HeadId,
  bytes_len: u64,
})

const STATE_FILE = /^window-([0-9]+)\.(state|json)$/

/** What keeping a window's state cost. */
export interface LocalStateCost {
  readonly bytes: number
  /** From the call into Python until the state is durable. */
  readonly seconds: number
}

/** Why a peer goes on without its own state. */
export interface LocalStateMissing {
  readonly reason: 'not kept' | 'of another base' | 'damaged' | 'no hook' | 'not loaded'
  /** One sentence for people. */
  readonly message: string
}

/** The training states of one peer, in a folder of their own. */
export class LocalState {
  readonly #folder: string
  readonly #project: TorchProject
  readonly #peer: PeerId
  #supported = true

  /** The folder is made when something is saved. */
  constructor(folder: string, project: TorchProject, peer: PeerId) {
    this.#folder = folder
    this.#project = project
    this.#peer = peer
  }

  /**
   * Keeps the model's training state after a window, durable when this resolves. Forgets all but this window and
   * the one before.
   *
   * @returns what it cost; null when the workload has no hook for it
   * @throws what the hook throws, AbortError, or the system's error
   */
  async save(
    model: ModelHandle,
    head: HeadDescriptor,
    options: CallOptions = {},
  ): Promise<LocalStateCost | null> {
    if (!this.#supported || head.parent_head_id === null) return null
    const began = performance.now()
    await makeFolder(this.#folder)
    const window = head.global_step
    await this.#forget((kept, kind) => kept === window - 1 && kind !== 'tmp')
    const path = this.#path(window, 'state')
    const temporary = `${path}.tmp`
    try {
      await this.#project.saveTrainingState(model, temporary, options)
    } catch (error) {
      if (!isHookMissing(error)) throw error
      this.#supported = false
      return null
    }
    const bytes = await syncFile(temporary)
    await rename(temporary, path)
    await syncFolder(this.#folder)
    const { study_id, experiment_id, revision_id, head_id, parent_head_id } = head
    const content = StateRecord.toJson(
      {
        study_id,
        experiment_id,
        revision_id,
        peer_id: this.#peer,
        head_id,
        base_head_id: parent_head_id,
        bytes_len: bytes,
      },
      { pretty: true },
    )
    await writeFileAtomic(this.#path(window, 'json'), content)
    return { bytes, seconds: (performance.now() - began) / 1000 }
  }

  /**
   * The peer's model as it was when it had published what `canonical` was merged of.
   *
   * @returns the model; or why there is none
   * @throws AbortError, RuntimeClosedError
   */
  async restore(
    canonical: HeadDescriptor,
    options: CallOptions = {},
  ): Promise<ModelHandle | LocalStateMissing> {
    const window = canonical.global_step
    const path = this.#path(window, 'state')
    const missing = await this.#problem(canonical, path)
    if (missing !== null) return missing
    const model = await this.#project.initModel(this.#project.runtimeDevice, options)
    try {
      await this.#project.loadTrainingState(model, path, options)
      return model
    } catch (error) {
      await model.release()
      if (isHookMissing(error)) {
        return { reason: 'no hook', message: `the workload has no load_training_state` }
      }
      // A file that the hook refuses is the peer's loss; what is not about the file ends the run.
      if (error instanceof TorchbedError && error.code === 'ERR_HOOK_RAISED') {
        return { reason: 'not loaded', message: `load_training_state failed: ${error.message}` }
      }
      throw error
    }
  }

  async #problem(canonical: HeadDescriptor, path: string): Promise<LocalStateMissing | null> {
    const window = canonical.global_step
    let kept: ReturnType<(typeof StateRecord)['fromValue']> | undefined
    try {
      kept = await readRecord(this.#path(window, 'json'), StateRecord)
    } catch (error) {
      if (!(error instanceof TorchbedError)) throw error
      return { reason: 'damaged', message: error.message }
    }
    if (kept === undefined) {
      const message = `no state was kept of window ${window}`
      return { reason: 'not kept', message }
    }
    const { study_id, experiment_id, revision_id, parent_head_id } = canonical
    const expected = { study_id, experiment_id, revision_id, peer_id: this.#peer }
    for (const field of Object.keys(expected) as (keyof typeof expected)[]) {
      if (kept[field] === expected[field]) continue
      const message = `the state of window ${window} is of ${field} ${JSON.stringify(kept[field])}`
      return { reason: 'of another base', message }
    }
    if (kept.base_head_id !== parent_head_id) {
      const message = `the state of window ${window} began from ${JSON.stringify(kept.base_head_id)}`
      return { reason: 'of another base', message }
    }
    const file = await stat(path).catch(() => undefined)
    if (file?.isFile() !== true || file.size !== kept.bytes_len) {
      const message = `${JSON.stringify(path)} is not the ${kept.bytes_len} bytes that were kept`
      return { reason: 'damaged', message }
    }
    return null
  }

  #path(window: number, kind: 'state' | 'json'): string {
    return join(this.#folder, `window-${window}.${kind}`)
  }

  /** Removes the files of other windows; a state without a record last, so that no record is without its state. */
  async #forget(keep: (window: number, kind: string) => boolean): Promise<void> {
    const names = await readdir(this.#folder)
    for (const name of names.sort()) {
      const [, window, kind] = STATE_FILE.exec(name.replace(/\.state\.tmp$/, '.state')) ?? []
      if (window === undefined || kind === undefined) continue
      if (keep(Number(window), name.endsWith('.tmp') ? 'tmp' : kind)) continue
      await rm(join(this.#folder, name), { force: true })
    }
  }
}

function isHookMissing(error: unknown): boolean {
  // A worker of another maker does not know the method, which is not part of its protocol.
  return error instanceof HookMissingError || error instanceof UnknownMethodError
}

/** Brings a file that Python wrote to the disk. Returns its size in bytes. */
async function syncFile(path: string): Promise<number> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
    return (await file.stat()).size
  } finally {
    await file.close()
  }
}
