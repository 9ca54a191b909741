/**
 * The numbers of a run for TensorBoard: an event file of `Event` messages (tensorflow/core/util/event.proto) in records of
 * TFRecord (length, checksum, data, checksum).
 */

import { appendFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { crc32c } from './crc32c.js'
import { makeFolder } from '../files/make-folder.js'
import type { Scalar, ScalarWriter } from './scalars.js'

/** An event file in a folder that `tensorboard --logdir` can be given. A later run writes a file of its own beside it. */
export class TensorBoardFile implements ScalarWriter {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /** Begins a file. Rejects with the system's error when it cannot be written. */
  static async create(folder: string): Promise<TensorBoardFile> {
    await makeFolder(folder)
    const now = Date.now()
    const name = [
      'events.out.tfevents',
      Math.floor(now / 1000),
      hostname(),
      process.pid,
      now % 1000,
    ]
    const file = new TensorBoardFile(join(folder, name.join('.')))
    await appendFile(file.path, record([double(1, now / 1000), text(3, 'brain.Event:2')]))
    return file
  }

  /** Rejects with the system's error when the file cannot be written. One call at a time. */
  async add(scalars: readonly Scalar[]): Promise<void> {
    const records = scalars.map(({ tag, step, value, at }) =>
      record([
        double(1, at / 1000),
        Buffer.concat([Buffer.of(2 << 3), varint(step)]),
        bytes(5, bytes(1, Buffer.concat([text(1, tag), float(2, value)]))),
      ]),
    )
    if (records.length > 0) await appendFile(this.path, Buffer.concat(records))
  }
}

function record(fields: readonly Buffer[]): Buffer {
  const data = Buffer.concat(fields)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(data.length))
  return Buffer.concat([length, checksum(length), data, checksum(data)])
}

/** The masked CRC-32C that TFRecord has. */
function checksum(data: Buffer): Buffer {
  const crc = crc32c(data)
  const rotated = ((crc >>> 15) | (crc << 17)) >>> 0
  const masked = Buffer.alloc(4)
  masked.writeUInt32LE((rotated + 0xa282ead8) % 2 ** 32)
  return masked
}

// Fields of a protobuf message: number and wire type, then the value.

function double(field: number, value: number): Buffer {
  const whole = Buffer.alloc(9)
  whole[0] = (field << 3) | 1
  whole.writeDoubleLE(value, 1)
  return whole
}

function float(field: number, value: number): Buffer {
  const whole = Buffer.alloc(5)
  whole[0] = (field << 3) | 5
  whole.writeFloatLE(value, 1)
  return whole
}

function text(field: number, value: string): Buffer {
  return bytes(field, Buffer.from(value))
}

function bytes(field: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.of((field << 3) | 2), varint(value.length), value])
}

function varint(value: number): Buffer {
  const parts: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) parts.push((rest % 128) | 128)
  return Buffer.from([...parts, rest])
}
