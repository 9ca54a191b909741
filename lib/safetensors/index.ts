/** The safetensors format: what a file holds, checked before anything is allocated for it. */

export { DTYPE_BITS, MAX_HEADER_BYTES, type Dtype } from './constants.js'
export {
  SafetensorsError,
  SafetensorsHeaderError,
  SafetensorsIoError,
  type HeaderFault,
} from './errors.js'
export {
  parseSafetensorsHeader,
  parseSafetensorsHeaderAsync,
  readSafetensorsHeader,
  safetensorsHeaderEnd,
  type HeaderLimits,
  type HeaderReadOptions,
  type SafetensorsHeader,
  type TensorInfo,
} from './header.js'
