/** Inputs of many calls of a hook stacked into one, and its output divided among them. */

import { ProtocolError, ValueError } from '../errors.js'
import { isPlain } from '../runtime/conversion-error.js'
import { LentBuffer } from '../runtime/lent-buffer.js'
import { Tensor, tensorBytes, type TensorData } from '../runtime/tensor.js'
import { MAX_VALUE_DEPTH } from '../runtime/values.js'
import type { HookOutput } from './hook-values.js'

/**
 * What two inputs have in common that can be stacked: keys, and the dtypes and shapes of tensors.
 *
 * @throws {@link ValueError} for nesting that is too deep, or circular
 */
export function layoutOf(input: unknown, depth = 0): string {
  if (input instanceof Tensor) return `${input.dtype}[${input.shape.join()}]`
  if (!isObject(input)) return '*'
  if (depth >= MAX_VALUE_DEPTH) {
    throw new ValueError(
      `Cannot pass this to a hook: nested deeper than ${MAX_VALUE_DEPTH} levels, or circular`,
      'input',
    )
  }
  const entries = keysOf(input).map(
    (key) => `${JSON.stringify(key)}:${layoutOf(input[key], depth + 1)}`,
  )
  return `{${entries.join()}}`
}

/**
 * One input of those of several calls, which have the same layout: tensors have one more dimension in front,
 * objects are gone through, and what else there is becomes a list.
 */
export function stacked(inputs: readonly unknown[]): unknown {
  const [first] = inputs
  if (first instanceof Tensor) {
    return stackedTensors(first as AnyTensor, inputs as readonly AnyTensor[])
  }
  if (!isObject(first)) return inputs.map((input) => input ?? null)
  const objects = inputs as readonly Record<string, unknown>[]
  return new Map(keysOf(first).map((key) => [key, stacked(objects.map((input) => input[key]))]))
}

/**
 * The shares of `count` callers in an output.
 *
 * @throws {@link ProtocolError} for an output that has not one entry for each
 */
export function divided(hook: string, output: HookOutput, count: number): HookOutput[] {
  return shares(output, count, (path) => {
    const at = path === '' ? '' : ` at output${path}`
    return new ProtocolError(
      `${hook} was given a batch of ${count} calls, and its answer has not ${count} entries${at}; return ` +
        'tensors and lists with one entry for each call',
    )
  })
}

type AnyTensor = Tensor<TensorData | LentBuffer>

function stackedTensors(
  { dtype, shape }: AnyTensor,
  tensors: readonly AnyTensor[],
): Tensor<LentBuffer> {
  const size = tensorBytes(dtype, shape)
  const memory = LentBuffer.allocate(size * tensors.length)
  const bytes = memory.bytes()
  tensors.forEach(({ data }, index) => {
    if (data.byteLength !== size) {
      throw new ValueError(
        'Cannot pass this to a hook: the memory of a tensor was transferred away or resized',
        'input',
      )
    }
    bytes.set(bytesOf(data), index * size)
  })
  return new Tensor(dtype, [tensors.length, ...shape], memory)
}

function bytesOf(data: TensorData | LentBuffer): Uint8Array {
  if (data instanceof LentBuffer) return data.bytes()
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

function shares(
  output: HookOutput,
  count: number,
  refuse: (path: string) => ProtocolError,
  path = '',
): HookOutput[] {
  if (output === null) return new Array<null>(count).fill(null)
  if (output instanceof Tensor) {
    if (output.shape[0] !== count) throw refuse(path)
    const { dtype, data } = output
    const shape = output.shape.slice(1)
    const length = data.length / count
    return Array.from({ length: count }, (_, index) => {
      return new Tensor(dtype, shape, data.slice(index * length, (index + 1) * length))
    })
  }
  if (Array.isArray(output)) {
    if (output.length !== count) throw refuse(path)
    return output
  }
  if (!isObject(output)) throw refuse(path)
  const divided = Object.entries(output).map(
    ([key, item]) => [key, shares(item, count, refuse, `${path}.${key}`)] as const,
  )
  return Array.from({ length: count }, (_, index) =>
    Object.fromEntries(divided.map(([key, items]) => [key, items[index] as HookOutput])),
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Map) &&
    isPlain(value)
  )
}

/** In one order, whatever the order in which they were written. */
function keysOf(object: Record<string, unknown>): string[] {
  return Object.keys(object)
    .filter((key) => object[key] !== undefined)
    .sort()
}
