/** A model folder in the layout of Hugging Face becomes one file, as artifacts are. */

import type { OperationOptions } from '../core/abort.js'
import { renamed, type Rename } from './names.js'
import { readHubFolder, type HubFolder } from './read.js'
import { writeTensors } from './write.js'

/** How a folder is imported. */
export interface HubImport extends OperationOptions {
  /** What each tensor is called in the workload's model. Default: as in the folder. */
  readonly rename?: Rename | undefined
}

/**
 * Writes all weights of a folder into one safetensors file, for `project.loadModelArtifactFile`. The weights go
 * through in pieces; a model of any size takes some megabytes of memory.
 *
 * @param folder holds `config.json` and the weights
 * @param file is replaced when it is there
 * @returns what was in the folder
 * @throws HubFolderError, SafetensorsHeaderError as {@link readHubFolder} does; AbortError when the signal fires
 */
export async function importHubFolder(
  folder: string,
  file: string,
  { rename = (name) => name, signal }: HubImport = {},
): Promise<HubFolder> {
  const found = await readHubFolder(folder, { signal })
  await writeTensors(file, renamed(found.tensors, rename), undefined, { signal })
  return found
}
