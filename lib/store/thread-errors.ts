/** The errors that cross between the store's own thread and those that use it. */

import * as lineageErrors from '../lineage/errors.js'
import { ErrorCodec } from '../threads/error-codec.js'
import * as storeErrors from './errors.js'

export const threadErrors = new ErrorCodec(lineageErrors, storeErrors)
