import { TorchbedError } from '../errors.js'

/** Files that are to be written exist already, and were left alone. */
export class FilesExistError extends TorchbedError {
  readonly code = 'ERR_FILES_EXIST'
  /** Absolute. */
  readonly paths: readonly string[]

  constructor(message: string, paths: readonly string[]) {
    super(message)
    this.paths = paths
  }
}

/** The script that makes a dataset (`dataset.prepare`) failed, or made no shards. */
export class DatasetPrepareError extends TorchbedError {
  readonly code = 'ERR_DATASET_PREPARE'
}
