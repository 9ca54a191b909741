/** Locators and file names: texts from a peer that become paths (spec planning#fetch-manifest, planning#shard-cache and defects#shard-cache). */

import { realpath } from 'node:fs/promises'
import { join, sep } from 'node:path'

import { clip } from '../core/quoting.js'
import { MAX_LOCATOR_LENGTH } from './constants.js'
import { DataIoError, UnsafeLocatorError } from './errors.js'

/** The file of a microshard in a cache, and its default locator: the ordinal in five digits, `.bin`. */
export function shardFileName(ordinal: number): string {
  return `${String(ordinal).padStart(5, '0')}.bin`
}

/**
 * Checks that a locator is a plain relative path: segments joined by `/`, none empty, `.` or `..`, without
 * backslash, colon (drives and streams on Windows) or control character. What one machine accepts, all do.
 *
 * @throws UnsafeLocatorError
 */
export function checkLocator(locator: string): void {
  const fault = faultOf(locator)
  if (fault === undefined) return
  throw new UnsafeLocatorError(
    `The locator ${quote(locator)} ${fault}; locators must be relative paths such as "shards/00000.bin"`,
  )
}

function faultOf(locator: string): string | undefined {
  if (locator === '') return 'is empty'
  if (locator.length > MAX_LOCATOR_LENGTH) return `is longer than ${MAX_LOCATOR_LENGTH} characters`
  if (/\p{Cc}/u.test(locator)) return 'has a control character'
  if (locator.includes('\\')) return 'has a backslash'
  if (locator.includes(':')) return 'has a colon'
  if (locator.startsWith('/')) return 'is absolute'
  const wrong = locator.split('/').find((segment) => ['', '.', '..'].includes(segment))
  return wrong === undefined ? undefined : `has the segment "${wrong}"`
}

/**
 * The real path of a locator's file under a root, with symbolic links resolved.
 *
 * @throws UnsafeLocatorError when the locator is unsafe, or a link leads out of the root
 * @throws DataIoError when there is no such file
 */
export async function resolveInside(root: string, locator: string): Promise<string> {
  checkLocator(locator)
  const path = join(root, locator)
  const [realRoot, real] = await Promise.all([realpath(root), realpath(path)]).catch(
    (cause: unknown) => {
      throw ioError('find', path, cause)
    },
  )
  if (real.startsWith(realRoot.endsWith(sep) ? realRoot : realRoot + sep)) return real
  throw new UnsafeLocatorError(
    `The locator ${quote(locator)} leads out of ${quote(root)}, to ${quote(real)}; move the file into the root`,
  )
}

/**
 * The URL of a locator under a base URL.
 *
 * @param base without query or fragment; ends in `/`
 * @throws UnsafeLocatorError when the locator is unsafe, or an escape such as `%2e%2e` leads out of the base
 */
export function resolveUrl(base: URL, locator: string): URL {
  checkLocator(locator)
  const url = new URL(base.href + locator)
  if (url.pathname.startsWith(base.pathname)) return url
  throw new UnsafeLocatorError(
    `The locator ${quote(locator)} leads out of ${base.href}, to ${url.href}; remove the escapes`,
  )
}

/** A {@link DataIoError} for a failed call of the file system. `action` is a verb, such as `read`. */
export function ioError(action: string, path: string, cause: unknown): DataIoError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new DataIoError(`Cannot ${action} ${quote(path)}: ${reason}`, { cause })
}

/** Longest foreign text that a message quotes in full, in UTF-16 units: a whole path, mostly. */
const MAX_QUOTED_PATH_LENGTH = 200

/** A path, an address or an id for a message. */
export function quote(text: string): string {
  return clip(text, MAX_QUOTED_PATH_LENGTH)
}
