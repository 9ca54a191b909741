/** The fenced blocks of the documents, and the directives that say how each is run. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../../lib/runtime/package-root.js'

export const root = packageRoot()

/** A document's text, by its path in the repository. */
export const read = (path: string) => readFileSync(join(root, path), 'utf8')

/** Every document that a reader is led to. */
export const documents: readonly string[] = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...markdownBelow('docs'),
  ...markdownBelow('examples'),
]

/** Guides whose programs take longer than those of all other documents: guides.test.ts runs them. */
export const LONG_GUIDES: readonly string[] = [
  'docs/migration/moving-from-burn-p2p-python.md',
  'docs/guide/quick-start.md',
]

function markdownBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && existsSync(join(root, folder, name)))
    .map((name) => `${folder}/${name}`)
    .sort()
}

/**
 * A fenced block. A comment right above its fence may say how it is run: `<!-- run: key=value key … -->`.
 *
 * - `save=name`: its code is kept in the document's folder, for the blocks below; js and ts run at once
 * - `in=name`: it is run between the lines of a setup (setups.ts)
 * - `shell`: its commands are run, not only looked up
 * - `output`: it is what the block above it prints, numbers within a fifth; `output=shape`: whatever the numbers
 * - `as=name`: the JSON is of that schema
 * - `patch=name`: the diff applies to the file of that name, which is changed for the blocks below
 * - `not=reason`: it is not run, for one of the reasons of {@link REASONS}
 */
export interface Block {
  readonly document: string
  /** Of its first line of code, from 1. */
  readonly line: number
  readonly language: string
  readonly code: string
  readonly directive: ReadonlyMap<string, string>
}

/** Why a block may go without being run. */
export const REASONS: Readonly<Record<string, string>> = {
  system: 'it changes the system, or needs rights that a test does not have',
  interactive: 'it waits for a person at a debugger or a browser',
  elsewhere: 'it is for another platform, or for a program that is no dependency',
}

const KEYS = new Set(['save', 'in', 'shell', 'output', 'as', 'patch', 'not'])

/** The blocks of a document, in order. Throws for a directive that nothing understands. */
export function blocksOf(document: string): Block[] {
  const blocks: Block[] = []
  let open: { language: string; line: number; lines: string[]; fence: string } | undefined
  let directive = new Map<string, string>()
  for (const [index, line] of read(document).split('\n').entries()) {
    if (open) {
      if (line.trim() !== open.fence) {
        open.lines.push(line)
        continue
      }
      const { language, lines } = open
      const code = `${lines.join('\n')}\n`
      blocks.push({ document, line: open.line, language, code, directive })
      open = undefined
      directive = new Map()
      continue
    }
    const fence = /^\s*(`{3,})(\S*)/.exec(line)
    const comment = /^\s*<!-- run: (.*) -->$/.exec(line)
    if (fence) open = { language: fence[2]!, line: index + 2, lines: [], fence: fence[1]! }
    else if (comment) directive = directiveOf(comment[1]!, `${document}:${index + 1}`)
    else if (line.trim() !== '') directive = new Map()
  }
  assert.equal(open, undefined, `${document} ends inside a block`)
  return blocks
}

function directiveOf(text: string, place: string): Map<string, string> {
  const words = text.split(' ').map((word) => word.split('=') as [string, string?])
  for (const [key] of words) assert.ok(KEYS.has(key), `${place}: no directive "${key}"`)
  return new Map(words.map(([key, value]) => [key, value ?? '']))
}

/** A block as an editor finds it. */
export const place = ({ document, line }: Block) => `${document}:${line}`

/** What a document says outside its fenced blocks. */
export function proseOf(document: string): string {
  return read(document).replace(/^```.*?^```$/gms, '')
}

/** The anchors that a Markdown reader makes of the headings. */
export function anchorsOf(document: string): ReadonlySet<string> {
  const headings = proseOf(document).matchAll(/^#+ (.+)$/gm)
  const anchor = (text: string) =>
    text
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-')
  return new Set([...headings].map(([, text]) => anchor(text!)))
}
