/** Writes safetensors files out of tensors that lie in others, a piece at a time. */

import { open } from 'node:fs/promises'
import { writeStreamAtomic } from '../files/atomic-write.js'
import type { OperationOptions } from '../core/abort.js'
import { DTYPE_BITS } from '../safetensors/constants.js'
import { HubFolderError } from './errors.js'
import type { HubTensor } from './read.js'

/** How much is copied in one go, in bytes. */
const PIECE_BYTES = 4 * 1024 * 1024

const RANK = new Map(Object.keys(DTYPE_BITS).map((dtype, rank) => [dtype, rank]))

/**
 * Writes one file of these tensors, laid out as artifacts are: large dtypes first, then by name. Equal tensors give
 * equal bytes. The file appears when it is whole.
 *
 * @returns its length in bytes
 */
export async function writeTensors(
  path: string,
  tensors: readonly HubTensor[],
  metadata: Readonly<Record<string, string>> | undefined,
  options: OperationOptions,
): Promise<number> {
  const placed = [...tensors].sort(
    (a, b) => rank(b) - rank(a) || Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
  )
  return writeStreamAtomic(path, contents(placed, metadata), options)
}

function rank({ dtype }: HubTensor): number {
  return RANK.get(dtype) ?? 0
}

async function* contents(
  tensors: readonly HubTensor[],
  metadata: Readonly<Record<string, string>> | undefined,
): AsyncGenerator<Uint8Array> {
  yield head(tensors, metadata)
  const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES)
  for (const { file, start, bytes, name } of tensors) {
    const handle = await open(file)
    try {
      for (let at = 0; at < bytes;) {
        const length = Math.min(PIECE_BYTES, bytes - at)
        const { bytesRead } = await handle.read(buffer, 0, length, start + at)
        if (bytesRead === 0) {
          throw new HubFolderError(
            `Cannot read the tensor ${JSON.stringify(name)}: ${JSON.stringify(file)} was cut while it was read`,
          )
        }
        at += bytesRead
        yield buffer.subarray(0, bytesRead)
      }
    } finally {
      await handle.close()
    }
  }
}

/** The header's length, the header, and spaces up to a multiple of eight bytes. */
function head(
  tensors: readonly HubTensor[],
  metadata: Readonly<Record<string, string>> | undefined,
): Uint8Array {
  const fields: string[] = []
  const field = (name: string, value: unknown): void => {
    fields.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`)
  }
  if (metadata !== undefined) field('__metadata__', metadata)
  let at = 0
  for (const { name, dtype, shape, bytes } of tensors) {
    field(name, { dtype, shape, data_offsets: [at, at + bytes] })
    at += bytes
  }
  const text = Buffer.from(`{${fields.join()}}`)
  const padded = Math.ceil(text.length / 8) * 8
  const whole = Buffer.alloc(8 + padded, ' ')
  whole.writeBigUInt64LE(BigInt(padded))
  text.copy(whole, 8)
  return whole
}
