/** Where the files of a store are (spec formats#file-names and store#layout). No file is touched here. */

import { join, resolve } from 'node:path'

import { ConfigError } from '../errors.js'
import { describe } from '../schema/describe.js'
import {
  pathComponent,
  type ArtifactId,
  type ChunkId,
  type ContributionReceiptId,
  type HeadId,
} from '../schema/index.js'
import { MAX_ID_BYTES } from './constants.js'
import { InvalidIdError } from './errors.js'

/** The folders and file names of one store. Every path lies below `root`, whatever an id holds. */
export class StoreLayout {
  /** Absolute. */
  readonly root: string
  readonly stateFolder: string
  readonly chunksFolder: string
  readonly manifestsFolder: string
  readonly pinsFolder: string
  readonly claimsFolder: string
  readonly receiptsFolder: string
  readonly headsFolder: string

  constructor(root: string) {
    this.root = resolve(root)
    this.stateFolder = join(this.root, 'state')
    this.chunksFolder = join(this.root, 'artifacts', 'chunks')
    this.manifestsFolder = join(this.root, 'artifacts', 'manifests')
    this.pinsFolder = join(this.root, 'artifacts', 'pins')
    this.claimsFolder = join(this.root, 'artifacts', 'claims')
    this.receiptsFolder = join(this.root, 'receipts')
    this.headsFolder = join(this.root, 'heads')
  }

  /** All folders. */
  get folders(): readonly string[] {
    return [
      this.stateFolder,
      this.chunksFolder,
      this.manifestsFolder,
      this.pinsFolder,
      this.claimsFolder,
      this.receiptsFolder,
      this.headsFolder,
    ]
  }

  chunk(id: ChunkId): string {
    return join(this.chunksFolder, `${idComponent(id)}.chunk`)
  }

  manifest(id: ArtifactId): string {
    return join(this.manifestsFolder, `${idComponent(id)}.json`)
  }

  headPin(id: HeadId): string {
    return join(this.pinsFolder, `head-${idComponent(id)}.pin`)
  }

  artifactPin(id: ArtifactId): string {
    return join(this.pinsFolder, `artifact-${idComponent(id)}.pin`)
  }

  head(id: HeadId): string {
    return join(this.headsFolder, `${idComponent(id)}.json`)
  }

  receipt(id: ContributionReceiptId): string {
    return join(this.receiptsFolder, `${idComponent(id)}.json`)
  }
}

/**
 * The file name that stands for an id, without an ending.
 *
 * @throws InvalidIdError when the id has no UTF-8 or more than {@link MAX_ID_BYTES} bytes
 */
export function idComponent(id: string): string {
  if (typeof id !== 'string' || Buffer.byteLength(id) > MAX_ID_BYTES) {
    throw new InvalidIdError(
      `Cannot name a file after the id ${describe(id)}: use a text of at most ${MAX_ID_BYTES} bytes`,
    )
  }
  try {
    return pathComponent(id)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new InvalidIdError(
      `Cannot name a file after the id ${describe(id)}: it has no UTF-8; use well-formed text`,
      { cause: error },
    )
  }
}
