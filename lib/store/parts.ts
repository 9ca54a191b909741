/** What a store consists of, made once for a folder and thread. */

import type { ArtifactDescriptor } from '../schema/index.js'
import { ArtifactReader } from './artifact-reader.js'
import { ArtifactWriter } from './artifact-writer.js'
import { ChunkFiles, type Durability } from './chunk-files.js'
import { PinFolder } from './pin-folder.js'
import type { RecordFolder } from './record-folder.js'
import { manifestFolder } from './record-kinds.js'
import { StoreLayout } from './store-paths.js'

/** A store, as another thread needs to know it. */
export interface StoreSettings {
  /** The folder. */
  readonly root: string
  readonly durability: Durability
}

/** The files of a store and what reads and writes them; without state of its own. */
export class StoreParts {
  readonly layout: StoreLayout
  readonly chunks: ChunkFiles
  readonly manifests: RecordFolder<ArtifactDescriptor>
  readonly pins: PinFolder
  readonly reader: ArtifactReader
  readonly writer: ArtifactWriter

  constructor({ root, durability }: StoreSettings) {
    this.layout = new StoreLayout(root)
    this.chunks = new ChunkFiles(this.layout, durability)
    this.manifests = manifestFolder(this.layout, durability)
    this.pins = new PinFolder(this.layout.pinsFolder, durability)
    this.reader = new ArtifactReader(this.chunks, durability)
    const { layout, chunks, manifests, pins } = this
    this.writer = new ArtifactWriter({ layout, durability, chunks, manifests, pins })
  }
}

/** The parts of a store, the same ones each time while few stores are in use. */
export function partsOf(settings: StoreSettings): StoreParts {
  const key = `${settings.durability} ${settings.root}`
  const parts = known.get(key) ?? new StoreParts(settings)
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(key, parts)
  return parts
}

const known = new Map<string, StoreParts>()

/** Stores whose parts are kept. */
const MAX_KNOWN = 64
