/** Reports for people: aligned, in 80 columns where ids and names allow. */

import { byteSize } from '../text/byte-size.js'
import { printable, printableLines } from '../text/printable.js'
import { definitions } from '../text/definitions.js'
import { columnsOf } from '../text/terminal.js'
import { headLines } from './heads-text.js'
import { metadataLines, tensorLines, tensorSummary } from './tensors-text.js'
import type {
  ArtifactReport,
  InspectReport,
  ManifestReport,
  Problem,
  SafetensorsReport,
  StoreReport,
} from './report.js'

/** Tensors of each artifact that the overview of a store shows. */
const MAX_TENSORS_IN_OVERVIEW = 8

/** Problems that are shown; a damaged artifact can have a hundred thousand. */
const MAX_SHOWN_PROBLEMS = 20

export function reportText(report: InspectReport): string {
  const lines = [...body(report), '', ...conclusion(report)]
  return `${lines.join('\n')}\n`
}

/** The problems alone; empty when nothing is wrong. */
export function problemText({ problems }: InspectReport): string {
  return problems.length === 0 ? '' : `${problemLines(problems).join('\n')}\n`
}

function body(report: InspectReport): string[] {
  switch (report.kind) {
    case 'store':
      return storeLines(report)
    case 'manifest':
      return manifestLines(report)
    case 'safetensors':
      return fileLines(report)
  }
}

function storeLines(report: StoreReport): string[] {
  const { artifacts, heads, pins, totals, canonicalHead } = report
  const unreferenced =
    totals.unreferencedChunkFiles === 0
      ? ''
      : `; no manifest names ${count(totals.unreferencedChunkFiles, 'of them', 'of them')} ` +
        `(${byteSize(totals.unreferencedChunkBytes)})`
  const rows: [string, string][] = [
    ['canonical head', canonicalHead === null ? 'none' : printable(canonicalHead)],
    ['heads', count(heads.length)],
    ['artifacts', `${count(artifacts.length)} (${byteSize(totals.artifactBytes)})`],
    ['chunk files', `${count(totals.chunkFiles)} (${byteSize(totals.chunkBytes)})${unreferenced}`],
    ['receipts', count(report.receiptCount)],
    ['pins', `${count(pins.heads.length, 'head')}, ${count(pins.artifacts.length, 'artifact')}`],
  ]
  const lines = [`store ${printable(report.path)}`, ...facts(rows), ...headLines(report)]
  if (artifacts.length > 0) lines.push('', 'artifacts')
  for (const artifact of artifacts) lines.push(...artifactLines(artifact))
  return lines
}

function artifactLines(artifact: ArtifactReport): string[] {
  const { artifact_id, bytes_len, chunkCount, content, head_id, kind, state } = artifact
  const head = head_id === null ? '' : ` of ${printable(head_id)}`
  const lines = [
    `  ${printable(artifact_id)}`,
    `    ${kind}${head}`,
    `    ${precisionText(artifact)}, ${printable(artifact.record_format)}`,
    `    ${byteSize(bytes_len)} in ${count(chunkCount, 'chunk')}, ${state}`,
  ]
  if (content !== null) {
    lines.push(`    ${tensorSummary(content)}`)
    lines.push(...tensorLines(content, MAX_TENSORS_IN_OVERVIEW, 6))
  } else if (artifact.tensorsNote !== null && state !== 'damaged') {
    lines.push(`    ${printable(artifact.tensorsNote)}`)
  }
  return lines
}

function manifestLines(report: ManifestReport): string[] {
  const { artifact } = report
  const title = `manifest ${printable(report.path)}`
  if (artifact === null) return [title]
  const { chunks = [], content, tensorsNote } = artifact
  const first = chunks[0]
  const sizes = first === undefined ? '' : ` of ${byteSize(first.length_bytes)}`
  const rows: [string, string][] = [
    ['artifact', printable(artifact.artifact_id)],
    ['kind', artifact.kind],
    ['head', orNone(artifact.head_id)],
    ['base head', orNone(artifact.base_head_id)],
    ['precision', precisionText(artifact)],
    ['model schema', printable(artifact.model_schema_hash)],
    ['record format', printable(artifact.record_format)],
    ['bytes', `${byteSize(artifact.bytes_len)} (${artifact.bytes_len})`],
    ['root hash', printable(artifact.root_hash)],
    ['chunks', `${count(artifact.chunkCount)}${sizes}, ${chunkState(report, artifact)}`],
    ['store', report.store === null ? 'none around this file' : printable(report.store)],
  ]
  const lines = [title, ...facts(rows)]
  if (content !== null) {
    lines.push(...metadataLines(content), '', tensorSummary(content), ...tensorLines(content))
  } else if (tensorsNote !== null && artifact.state !== 'damaged') {
    lines.push('', printable(tensorsNote))
  }
  return lines
}

function chunkState(
  { problems, store, verified }: ManifestReport,
  { state }: ArtifactReport,
): string {
  if (store === null) return 'not looked for'
  const bad = problems.filter(({ chunk_id }) => chunk_id !== undefined).length
  if (bad > 0) return `${count(bad)} missing or corrupt`
  if (state !== 'damaged') return state
  return verified ? 'intact one by one' : 'present'
}

function fileLines(report: SafetensorsReport): string[] {
  const { bytes, content, contentId } = report
  const rows: [string, string][] = [
    ['bytes', `${byteSize(bytes)} (${bytes})`],
    ['content id', contentId ?? 'not computed (--no-verify)'],
  ]
  const lines = [`safetensors file ${printable(report.path)}`, ...facts(rows)]
  if (content === null) return lines
  return [...lines, ...metadataLines(content), '', tensorSummary(content), ...tensorLines(content)]
}

function facts(rows: readonly (readonly [string, string])[]): string[] {
  return definitions(rows, columnsOf(process.stdout), 2)
}

/** Last, because that is what a terminal shows. */
function conclusion(report: InspectReport): string[] {
  const { problems } = report
  if (problems.length > 0) return problemLines(problems)
  if (report.kind === 'manifest' && report.store === null) {
    return ['The manifest agrees with itself. Nothing to verify it against.']
  }
  if (report.verified) return ['Nothing is damaged or missing.']
  return ['Nothing is missing. Contents were not verified (--no-verify).']
}

function problemLines(problems: readonly Problem[]): string[] {
  const lines = problems
    .slice(0, MAX_SHOWN_PROBLEMS)
    .map(({ code, message }) => `  ${code}: ${printableLines(message).join('\n  ')}`)
  const hidden = problems.length - lines.length
  if (hidden > 0) lines.push(`  and ${count(hidden)} more; --json lists them all`)
  return [`${count(problems.length, 'problem')}:`, ...lines]
}

function precisionText({ precision }: ArtifactReport): string {
  return typeof precision === 'string' ? precision : printable(precision.Custom)
}

function orNone(id: string | null): string {
  return id === null ? 'none' : printable(id)
}

/** `3`, or with a noun `1 chunk`, `1,024 chunks`. */
function count(number: number, noun = '', plural = `${noun}s`): string {
  const digits = number.toLocaleString('en')
  return noun === '' ? digits : `${digits} ${number === 1 ? noun : plural}`
}
