import { byteSize } from '../text/byte-size.js'
import { printable } from '../text/printable.js'
import { table } from '../text/table.js'
import type { TensorReport } from './report.js'

/** Dimensions of a shape that are shown; a hostile header can have millions. */
const MAX_SHOWN_DIMENSIONS = 8

/** Metadata that are shown, likewise. */
const MAX_SHOWN_METADATA = 50

/** `12 tensors, 312,000 parameters, 1.2 MiB`. */
export function tensorSummary({ tensors, parameters, tensorBytes }: TensorReport): string {
  const noun = tensors.length === 1 ? 'tensor' : 'tensors'
  return (
    `${tensors.length.toLocaleString('en')} ${noun}, ` +
    `${parameters.toLocaleString('en')} parameters, ${byteSize(tensorBytes)}`
  )
}

/** One line a tensor, its name last; of the first `limit`. */
export function tensorLines(
  { tensors }: TensorReport,
  limit = Number.POSITIVE_INFINITY,
  indent = 2,
): string[] {
  const rows = tensors
    .slice(0, limit)
    .map(({ name, dtype, shape, bytes }) => [
      dtype,
      shapeText(shape),
      byteSize(bytes),
      printable(name),
    ])
  const lines = table(rows, ['left', 'left', 'right'], indent)
  const hidden = tensors.length - rows.length
  if (hidden > 0) lines.push(`${' '.repeat(indent)}and ${hidden.toLocaleString('en')} more`)
  return lines
}

export function metadataLines({ metadata }: TensorReport): string[] {
  const entries = Object.entries(metadata ?? {})
  if (entries.length === 0) return []
  const shown = entries.slice(0, MAX_SHOWN_METADATA)
  const lines = shown.map(([name, text]) => `  ${printable(name)}: ${printable(text)}`)
  const hidden = entries.length - shown.length
  if (hidden > 0) lines.push(`  and ${hidden.toLocaleString('en')} more`)
  return ['', 'metadata', ...lines]
}

function shapeText(shape: readonly number[]): string {
  const shown = shape.slice(0, MAX_SHOWN_DIMENSIONS).join(', ')
  return shape.length > MAX_SHOWN_DIMENSIONS ? `[${shown}, …]` : `[${shown}]`
}
