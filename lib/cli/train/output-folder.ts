import { mkdir, open, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError } from '../../errors.js'

/** The folder that a run writes to. Every file in it is complete or absent, also after a kill. */
export class OutputFolder {
  readonly artifact: string
  readonly report: string
  readonly curve: string

  private constructor(readonly path: string) {
    this.artifact = join(path, 'model.safetensors')
    this.report = join(path, 'report.json')
    this.curve = join(path, 'curve.svg')
  }

  /** Makes the folder. Throws {@link ConfigError} when it cannot be made or written to. */
  static async open(path: string): Promise<OutputFolder> {
    const folder = new OutputFolder(path)
    try {
      await mkdir(path, { recursive: true })
      const probe = folder.#temporary('probe')
      await writeFile(probe, '')
      await rm(probe)
    } catch (cause) {
      const message = `${(cause as Error).message}; choose another folder with --out`
      throw new ConfigError(`Cannot write to ${path}`, [{ path: '--out', message }], { cause })
    }
    return folder
  }

  /**
   * Lets `produce` write a file beside the target, then puts it in the target's place. On failure the
   * target is what it was before. Returns the file's size in bytes.
   */
  async replace(target: string, produce: (path: string) => Promise<void>): Promise<number> {
    const temporary = this.#temporary('partial')
    try {
      await produce(temporary)
      const file = await open(temporary, 'r+')
      try {
        await file.sync()
      } finally {
        await file.close()
      }
      const { size } = await stat(temporary)
      await rename(temporary, target)
      return size
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }

  async replaceText(target: string, text: string): Promise<void> {
    await this.replace(target, (path) => writeFile(path, text))
  }

  #temporary(purpose: string): string {
    return join(this.path, `.${purpose}-${process.pid}.tmp`)
  }
}
