/** Keeps what a peer knows in a file, so that it knows it again after a restart or `kill -9`. */

import { readFile, rename } from 'node:fs/promises'

import { TorchbedError } from '../errors.js'
import { writeFileAtomic } from '../files/atomic-write.js'
import { ControlPlaneSnapshot } from '../schema/records/network/index.js'
import type { Announcements } from '../swarm/announcements.js'

export class StateFile {
  readonly #path: string
  readonly #announcements: Announcements
  #savedVersion = 0
  #saving: Promise<void> | undefined

  constructor(path: string, announcements: Announcements) {
    this.#path = path
    this.#announcements = announcements
  }

  /**
   * Takes note of all that the file holds. A file that cannot be read is set aside under another name: the others know the
   * same, and tell it again.
   *
   * @returns where a damaged file was put
   */
  async restore(): Promise<string | undefined> {
    let bytes: Uint8Array
    try {
      bytes = await readFile(this.#path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
    try {
      this.#announcements.merge(ControlPlaneSnapshot.fromWireCbor(bytes))
      this.#savedVersion = this.#announcements.version
      return undefined
    } catch (error) {
      if (!(error instanceof TorchbedError)) throw error
      const aside = `${this.#path}.damaged`
      await rename(this.#path, aside)
      return aside
    }
  }

  /** Settles when all that is known now is in the file. Calls that come while it is being written share the next write. */
  async save(): Promise<void> {
    const wanted = this.#announcements.version
    while (this.#savedVersion < wanted) {
      this.#saving ??= this.#write().finally(() => (this.#saving = undefined))
      await this.#saving
    }
  }

  async #write(): Promise<void> {
    const { version } = this.#announcements
    await writeFileAtomic(this.#path, this.#announcements.snapshotBytes())
    this.#savedVersion = version
  }
}
