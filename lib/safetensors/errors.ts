/** The errors of safetensors files. */

import { TorchbedError } from '../errors.js'

/** Base of every error of this folder. */
export abstract class SafetensorsError extends TorchbedError {}

/**
 * What is wrong with a header:
 * - `header_too_small`: fewer than eight bytes, so that there is no header length
 * - `header_too_large`: the header length exceeds the limit
 * - `header_length`: the header length goes beyond the end of the file
 * - `header_start`: the header does not begin with `{`
 * - `encoding`: the header is not UTF-8
 * - `json`: it is not JSON, or its JSON does not have the form of a header
 * - `duplicate_name`: the same name twice in one object
 * - `dimension`: a dimension is beyond 2^53 - 1, which JavaScript cannot hold exactly
 * - `offset`: tensors leave a hole, overlap, or end before they begin
 * - `size`: the bytes of a tensor are not its shape times its dtype
 * - `alignment`: a tensor of a packed dtype does not end with a whole byte
 * - `overflow`: shape times dtype exceeds 64 bits
 * - `data_length`: the tensors end before or after the end of the file
 */
export type HeaderFault =
  | 'header_too_small'
  | 'header_too_large'
  | 'header_length'
  | 'header_start'
  | 'encoding'
  | 'json'
  | 'duplicate_name'
  | 'dimension'
  | 'offset'
  | 'size'
  | 'alignment'
  | 'overflow'
  | 'data_length'

/** The header contradicts the format, or the file's length. `fault` says how. */
export class SafetensorsHeaderError extends SafetensorsError {
  readonly code = 'ERR_SAFETENSORS_HEADER'

  /** @param path the file, where there is one */
  constructor(
    readonly fault: HeaderFault,
    readonly problem: string,
    readonly path?: string,
    options?: ErrorOptions,
  ) {
    const file = path === undefined ? '' : ` of ${JSON.stringify(path)}`
    super(
      `Cannot use the safetensors header${file}: ${problem}; write the file again or get an intact copy`,
      options,
    )
  }
}

/** A file could not be opened or read, or is no regular file. `cause` is the system's error. */
export class SafetensorsIoError extends SafetensorsError {
  readonly code = 'ERR_SAFETENSORS_IO'

  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`Cannot read ${JSON.stringify(path)}: ${problem}; check the path`, options)
  }
}
