/** What can be wrong with a folder in the layout of Hugging Face. */

import { TorchbedError } from '../errors.js'

/** A model folder in the layout of Hugging Face contradicts itself, or its tensors cannot be renamed as asked. */
export class HubFolderError extends TorchbedError {
  readonly code = 'ERR_HUB_FOLDER'
}
