/**
 * Model folders in the layout of Hugging Face: `config.json` and `model.safetensors`, or shards of it with
 * `model.safetensors.index.json`. Read, checked, and turned into an artifact and back, a piece at a time.
 *
 * @packageDocumentation
 */

export { HubFolderError } from './errors.js'
export { exportHubFolder, MAX_SHARD_BYTES, type HubExport, type HubExported } from './export.js'
export { importHubFolder, type HubImport } from './import.js'
export { renameBy, type Rename } from './names.js'
export { readHubFolder, type HubFolder, type HubTensor } from './read.js'
