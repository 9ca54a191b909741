import { TorchbedError } from '../errors.js'

/** `torchbed init` would overwrite files, listed in `paths`; nothing was written. */
export class FilesExistError extends TorchbedError {
  readonly code = 'ERR_FILES_EXIST'
  /** Absolute. */
  readonly paths: readonly string[]

  constructor(message: string, paths: readonly string[]) {
    super(message)
    this.paths = paths
  }
}

/** The script that `dataset.prepare` names failed, or made no shards in `dataset.root`. */
export class DatasetPrepareError extends TorchbedError {
  readonly code = 'ERR_DATASET_PREPARE'
}
