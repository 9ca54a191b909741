/** Pins: one file per id that garbage collection must keep (spec store#layout). */

import { rm } from 'node:fs/promises'
import { join } from 'node:path'

import { writeFileAtomic } from '../files/atomic-write.js'
import { makeFolder } from '../files/make-folder.js'
import type { Durability } from './chunk-files.js'
import { CheckpointError } from './errors.js'
import { fileSize, isMissing, namesIn, readFileOf, withIo } from './files.js'
import { idComponent } from './store-paths.js'

export class PinFolder {
  readonly #folder: string
  readonly #durability: Durability

  constructor(folder: string, durability: Durability) {
    this.#folder = folder
    this.#durability = durability
  }

  async add(path: string, id: string): Promise<void> {
    await withIo(`write ${JSON.stringify(path)}`, async () => {
      await makeFolder(this.#folder, this.#durability)
      await writeFileAtomic(path, id, { sync: this.#durability })
    })
  }

  /** False when there was no pin. */
  async remove(path: string): Promise<boolean> {
    return withIo(`delete ${JSON.stringify(path)}`, async () => {
      try {
        await rm(path)
        return true
      } catch (error) {
        if (isMissing(error)) return false
        throw error
      }
    })
  }

  /**
   * The ids of the pins whose file names begin so. A pin's content is its id, which the name may only hold as a
   * hash; where the content does not belong to the name, the name counts, as in the reference.
   */
  async ids(prefix: string): Promise<ReadonlySet<string>> {
    return withIo(`read the pins in ${JSON.stringify(this.#folder)}`, async () => {
      const ids = new Set<string>()
      for (const name of await namesIn(this.#folder)) {
        if (!name.startsWith(prefix) || !name.endsWith('.pin')) continue
        const component = name.slice(prefix.length, -'.pin'.length)
        const content = await this.#read(join(this.#folder, name))
        if (content !== undefined) ids.add(isNamed(content, component) ? content : component)
      }
      return ids
    })
  }

  /** Undefined when the pin has just been removed. */
  async #read(path: string): Promise<string | undefined> {
    try {
      const size = await fileSize(path)
      if (size === undefined) return undefined
      return size > MAX_PIN_BYTES ? '' : (await readFileOf(path, size)).toString()
    } catch (error) {
      if (isMissing(error)) return undefined
      // A link could lead out of the store; the name of the pin says enough.
      if (error instanceof Error && 'code' in error && error.code === 'ELOOP') return ''
      throw error
    }
  }
}

/** Longest content that is looked at: more than any id has. */
const MAX_PIN_BYTES = 64 * 1024

function isNamed(id: string, component: string): boolean {
  try {
    return idComponent(id) === component
  } catch (error) {
    if (error instanceof CheckpointError) return false
    throw error
  }
}
