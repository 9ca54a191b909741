/** Ids as file names (spec formats#file-names). */

import { createHash } from 'node:crypto'

import { ConfigError } from '../errors.js'
import { MAX_PATH_COMPONENT_BYTES } from './constants.js'
import { describe } from './describe.js'
import { isWellFormed } from '../json/wire.js'

const HASHED_PREFIX = '__burn_p2p_id_'

/**
 * The file name of an id, safe whatever a peer put into it: the id itself when it is 1 to 256 bytes of
 * `A-Z a-z 0-9 . _ -` and neither `.` nor `..`; else `__burn_p2p_id_` and the SHA-256 of its UTF-8 in hex.
 *
 * A hashed name does not lead back to its id: keep the id in the file.
 *
 * @throws ConfigError when the id has a lone surrogate and so no UTF-8
 */
export function pathComponent(id: string): string {
  if (
    id.length <= MAX_PATH_COMPONENT_BYTES &&
    /^[A-Za-z0-9._-]+$/.test(id) &&
    !/^\.\.?$/.test(id)
  ) {
    return id
  }
  if (!isWellFormed(id)) {
    throw new ConfigError('Cannot make a file name of an id', [
      { path: '', message: `${describe(id)} has a lone surrogate` },
    ])
  }
  return HASHED_PREFIX + createHash('sha256').update(id).digest('hex')
}
