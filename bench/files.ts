/** Files read and written in one system call each: the quickest way that Node has. */

import { open, rm } from 'node:fs/promises'

/** Writes a new file; `sync` waits for the disk. */
export async function writeWhole(
  path: string,
  bytes: Uint8Array,
  { sync = false } = {},
): Promise<void> {
  await using file = await open(path, 'w')
  const { bytesWritten } = await file.write(bytes)
  if (bytesWritten !== bytes.byteLength) throw new Error(`wrote ${bytesWritten} bytes only`)
  if (sync) await file.sync()
}

/** A whole file in memory of its own. */
export async function readWhole(path: string): Promise<Uint8Array> {
  await using file = await open(path)
  const bytes = Buffer.allocUnsafeSlow((await file.stat()).size)
  const { bytesRead } = await file.read(bytes)
  if (bytesRead !== bytes.byteLength) throw new Error(`read ${bytesRead} bytes only`)
  return bytes
}

/** How long `work` takes, in milliseconds; what it leaves at `path` is removed afterwards. */
export async function timedThenRemoved(
  path: string,
  work: () => Promise<unknown>,
): Promise<number> {
  const began = performance.now()
  await work()
  const took = performance.now() - began
  await rm(path, { recursive: true })
  return took
}
