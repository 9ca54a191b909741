/** Safetensors files, right and wrong, put together by hand. */

/** A file: the length of the header, the header, and so many zero bytes of data (or these bytes). */
export function safetensorsFile(
  header: string | Uint8Array | Record<string, unknown>,
  data: number | Uint8Array = 0,
  headerLength?: bigint,
): Buffer {
  const isBytes = header instanceof Uint8Array
  const text = typeof header === 'string' || isBytes ? header : JSON.stringify(header)
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(headerLength ?? BigInt(bytes.byteLength))
  return Buffer.concat([length, bytes, typeof data === 'number' ? Buffer.alloc(data) : data])
}

/** A header's entry for one tensor. */
export function tensor(dtype: unknown, shape: unknown, begin: unknown, end: unknown): object {
  return { dtype, shape, data_offsets: [begin, end] }
}
