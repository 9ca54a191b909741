/** The three kinds of records that a store keeps (spec store#layout). */

import { ArtifactDescriptor, ContributionReceipt, HeadDescriptor } from '../schema/index.js'
import type { Durability } from './chunk-files.js'
import { checkArtifactDescriptorAsync } from './descriptor.js'
import { UnknownArtifactError, UnknownHeadError, UnknownReceiptError } from './errors.js'
import type { StoreLayout } from './store-paths.js'
import { RecordFolder } from './record-folder.js'

/** The manifests: `artifacts/manifests/<artifact id>.json`. */
export function manifestFolder(layout: StoreLayout, durability: Durability) {
  return new RecordFolder(
    {
      folder: layout.manifestsFolder,
      codec: ArtifactDescriptor,
      idOf: ({ artifact_id }) => artifact_id,
      pathOf: (id) => layout.manifest(id),
      check: (descriptor) => checkArtifactDescriptorAsync(descriptor),
      unknown: (id) => new UnknownArtifactError(id),
    },
    durability,
  )
}

/** The heads: `heads/<head id>.json`. */
export function headFolder(layout: StoreLayout, durability: Durability) {
  return new RecordFolder(
    {
      folder: layout.headsFolder,
      codec: HeadDescriptor,
      idOf: ({ head_id }) => head_id,
      pathOf: (id) => layout.head(id),
      unknown: (id) => new UnknownHeadError(id),
    },
    durability,
  )
}

/** The receipts: `receipts/<receipt id>.json`. */
export function receiptFolder(layout: StoreLayout, durability: Durability) {
  return new RecordFolder(
    {
      folder: layout.receiptsFolder,
      codec: ContributionReceipt,
      idOf: ({ receipt_id }) => receipt_id,
      pathOf: (id) => layout.receipt(id),
      unknown: (id) => new UnknownReceiptError(id),
    },
    durability,
  )
}
