/** Tensors as values: what `project.call` lends to Python and gets from it. */

import { isAnyArrayBuffer } from 'node:util/types'
import { ValueError } from '../errors.js'
import { LentBuffer } from './lent-buffer.js'

/** A dtype of torch, by torch's name. */
export type TensorDtype =
  | 'bool'
  | 'uint8'
  | 'int8'
  | 'uint16'
  | 'int16'
  | 'uint32'
  | 'int32'
  | 'uint64'
  | 'int64'
  | 'float8_e4m3fn'
  | 'float8_e4m3fnuz'
  | 'float8_e5m2'
  | 'float8_e5m2fnuz'
  | 'float8_e8m0fnu'
  | 'float16'
  | 'bfloat16'
  | 'float32'
  | 'float64'
  | 'complex32'
  | 'complex64'
  | 'complex128'

/** How each dtype lies in memory: bytes of an element, and the typed array that holds elements or parts of them. */
const LAYOUTS = {
  bool: { bytes: 1, array: Uint8Array },
  uint8: { bytes: 1, array: Uint8Array },
  int8: { bytes: 1, array: Int8Array },
  uint16: { bytes: 2, array: Uint16Array },
  int16: { bytes: 2, array: Int16Array },
  uint32: { bytes: 4, array: Uint32Array },
  int32: { bytes: 4, array: Int32Array },
  uint64: { bytes: 8, array: BigUint64Array },
  int64: { bytes: 8, array: BigInt64Array },
  float8_e4m3fn: { bytes: 1, array: Uint8Array },
  float8_e4m3fnuz: { bytes: 1, array: Uint8Array },
  float8_e5m2: { bytes: 1, array: Uint8Array },
  float8_e5m2fnuz: { bytes: 1, array: Uint8Array },
  float8_e8m0fnu: { bytes: 1, array: Uint8Array },
  float16: { bytes: 2, array: Uint16Array },
  bfloat16: { bytes: 2, array: Uint16Array },
  float32: { bytes: 4, array: Float32Array },
  float64: { bytes: 8, array: Float64Array },
  complex32: { bytes: 4, array: Uint16Array },
  complex64: { bytes: 8, array: Float32Array },
  complex128: { bytes: 16, array: Float64Array },
} as const satisfies Record<TensorDtype, unknown>

/**
 * The elements of a tensor, row-major. float16, bfloat16 and float8 are given as their bits; a complex number is two
 * elements, real part first; a bool is a byte 0 or 1.
 */
export type TensorData =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array
  | Float32Array
  | Float64Array

/** The dtypes that a typed array has by itself. */
const NATURAL: ReadonlyMap<unknown, TensorDtype> = new Map<unknown, TensorDtype>([
  [Uint8Array, 'uint8'],
  [Int8Array, 'int8'],
  [Uint16Array, 'uint16'],
  [Int16Array, 'int16'],
  [Uint32Array, 'uint32'],
  [Int32Array, 'int32'],
  [BigUint64Array, 'uint64'],
  [BigInt64Array, 'int64'],
  [Float32Array, 'float32'],
  [Float64Array, 'float64'],
])

/**
 * A dense tensor in memory that JavaScript owns. A hook sees a `torch.Tensor`.
 *
 * `data` of a typed array is copied once when the tensor is passed; a {@link LentBuffer} is lent for the call
 * without a copy, and read back by its `take()`. What a hook returns has a typed array over its own `ArrayBuffer`.
 */
export class Tensor<Data extends TensorData | LentBuffer = TensorData> {
  /**
   * @param dtype - torch's name of the element type
   * @param shape - one size a dimension; `[]` is one element without dimensions
   * @param data - exactly the bytes that dtype and shape need
   * @throws {@link ValueError} for an unknown dtype, a size that is no whole number from 0 on, a detached or
   * shrunk buffer, and bytes that are not those of dtype and shape; its `path` names the part
   */
  constructor(
    readonly dtype: TensorDtype,
    readonly shape: readonly number[],
    readonly data: Data,
  ) {
    checkTensor(dtype, shape, data)
  }

  /** Size of the elements, in bytes. */
  get byteLength(): number {
    return this.data.byteLength
  }
}

/**
 * A tensor of the dtype that the typed array has by itself, such as float32 of a `Float32Array`.
 *
 * @param shape - default: one dimension
 * @throws {@link ValueError} as the constructor of {@link Tensor} does
 */
export function tensor<Data extends TensorData>(
  data: Data,
  shape: readonly number[] = [data.length],
): Tensor<Data> {
  const dtype = NATURAL.get(data.constructor)
  if (dtype === undefined) {
    throw new ValueError(
      `Cannot make a tensor of ${data.constructor.name}: pass a typed array such as Float32Array, or ` +
        'new Tensor(dtype, shape, data)',
      'data',
    )
  }
  return new Tensor(dtype, shape, data)
}

/** The bytes that a tensor of this dtype and shape has. */
export function tensorBytes(dtype: TensorDtype, shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, LAYOUTS[dtype].bytes)
}

/** A tensor over the whole of this memory. */
export function tensorOver(
  dtype: TensorDtype,
  shape: readonly number[],
  memory: ArrayBuffer,
): Tensor {
  return new Tensor(dtype, shape, new LAYOUTS[dtype].array(memory))
}

export function isDtype(text: unknown): text is TensorDtype {
  return typeof text === 'string' && Object.hasOwn(LAYOUTS, text)
}

function checkTensor(dtype: unknown, shape: unknown, data: unknown): void {
  if (!isDtype(dtype)) {
    const known = Object.keys(LAYOUTS).join(', ')
    throw new ValueError(
      `Unknown tensor dtype ${JSON.stringify(dtype)}; use one of ${known}`,
      'dtype',
    )
  }
  if (!Array.isArray(shape)) throw new ValueError('The shape of a tensor is an array', 'shape')
  shape.forEach((size: unknown, index) => {
    if (Number.isSafeInteger(size) && Number(size) >= 0) return
    throw new ValueError(
      `A tensor's sizes are whole numbers from 0 on; shape[${index}] is ${String(size)}`,
      `shape[${index}]`,
    )
  })
  const sizes = shape as number[]
  const isElements = ArrayBuffer.isView(data) && !(data instanceof DataView)
  if (!isElements && !(data instanceof LentBuffer)) {
    const remedy = isAnyArrayBuffer(data)
      ? 'a typed array over it'
      : 'a typed array or a LentBuffer'
    throw new ValueError(`The data of a tensor is not elements; pass ${remedy}`, 'data')
  }
  const needed = tensorBytes(dtype, sizes)
  if (data.byteLength !== needed) {
    throw new ValueError(
      `A ${dtype} tensor of shape [${sizes.join(', ')}] has ${needed} bytes, and its data has ` +
        `${data.byteLength}${data.byteLength === 0 ? ', or was transferred away' : ''}`,
      'data',
    )
  }
}
