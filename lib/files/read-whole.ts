/** Reading whole files. */

import type { FileHandle } from 'node:fs/promises'

/**
 * All bytes from the start of a file to its end. Unlike `readFile` of Node.js, which takes a read that gave less than was
 * asked for as the end of the file: network and FUSE file systems give less at times.
 *
 * @param size how long it is thought to be; when it has grown meanwhile, the rest is read as well
 */
export async function readWholeFile(file: FileHandle, size: number): Promise<Buffer> {
  let bytes = Buffer.allocUnsafeSlow(size + 1)
  let filled = 0
  for (;;) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, filled)
    if (bytesRead === 0) return bytes.subarray(0, filled)
    filled += bytesRead
    if (filled === bytes.length) bytes = Buffer.concat([bytes], 2 * bytes.length)
  }
}
