import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../../files/make-folder.js'
import { ConfigError } from '../../errors.js'
import { writeFileAtomic } from '../../files/atomic-write.js'

/** The folder that a run writes to. Every file in it is complete or absent, also after a kill. */
export class OutputFolder {
  /** The canonical head's model, for use elsewhere. */
  readonly artifact: string
  readonly report: string
  readonly curve: string
  /** The artifact store. */
  readonly store: string
  /** The peers' own folders. */
  readonly peers: string

  private constructor(readonly path: string) {
    this.artifact = join(path, 'model.safetensors')
    this.report = join(path, 'report.json')
    this.curve = join(path, 'curve.svg')
    this.store = join(path, 'store')
    this.peers = join(path, 'peers')
  }

  /** Makes the folder. Throws {@link ConfigError} when it cannot be made or written to. */
  static async open(path: string): Promise<OutputFolder> {
    const folder = new OutputFolder(path)
    const probe = join(path, `.probe-${process.pid}`)
    try {
      await makeFolder(path, 'none')
      await writeFileAtomic(probe, '')
      await rm(probe)
    } catch (cause) {
      const message = `${(cause as Error).message}; choose another folder with --out`
      throw new ConfigError(`Cannot write to ${path}`, [{ path: '--out', message }], { cause })
    }
    return folder
  }

  /** Size of the store on the disk, temporary files included. */
  async measureStore(): Promise<{ path: string; bytes: number; files: number }> {
    let bytes = 0
    let files = 0
    for (const entry of await readdir(this.store, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      bytes += (await stat(join(entry.parentPath, entry.name))).size
      files++
    }
    return { path: this.store, bytes, files }
  }
}
