/**
 * Writes what docs/reference/errors.md and limits.md take from the code: when an error is thrown (the comment
 * of its class), the value of a limit, and the file that defines it. Remedies and reasons are written by hand.
 *
 * Usage: node scripts/reference-pages.mjs [--check]
 *
 * With --check nothing is written; the exit code is 1 when a page differs from the code.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { ROOT } from './support/paths.mjs'

const read = (path) => readFileSync(join(ROOT, path), 'utf8')

/** Files below a folder whose path matches. */
const filesBelow = (folder, pattern) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .filter((path) => pattern.test(path))
    .sort()

const problems = []

/** A comment of the code as a table cell: citations of the specification become links. */
function cell(comment) {
  return comment
    .replace(/^ *\* ?/gm, '')
    .replace(/\n@[\s\S]*$/, '')
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/\{@link (\w+)\}/g, '`$1`')
    .replace(/\bspec ([\w-]+)#([\w-]+)/g, '[$1#$2](spec/$1.md#$2)')
    .replace(/\bspec (worker-protocol|planning|store|formats)\b/g, '[$1](spec/$1.md)')
    .replaceAll('|', '\\|')
}

/** Every code of the library with what its class says: `code -> { when, file }`. */
function errorsOfCode() {
  const errors = new Map()
  const pattern =
    /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\nexport class \w+ extends (?:(?!\nexport )[\s\S])*?code = '(\w+)'/g
  for (const file of filesBelow('lib', /errors\.ts$/)) {
    const text = read(file)
    for (const [, comment, code] of text.matchAll(pattern)) {
      errors.set(code, { when: cell(comment), file })
    }
    for (const [, code] of text.matchAll(/code = '(\w+)'/g)) {
      if (!errors.has(code)) problems.push(`${file}: the class of ${code} has no comment`)
    }
  }
  return errors
}

/** The page with each row as the code has it. A row keeps its remedy, which the page alone has. */
function withErrors(page) {
  const errors = errorsOfCode()
  const seen = new Set()
  const lines = page.split('\n').flatMap((line) => {
    const [, code, remedy] = /^\| `(\w+)` +\| .*? +\| (.*?) +\|$/.exec(line) ?? []
    if (code === undefined) return [line]
    seen.add(code)
    const error = errors.get(code)
    return error === undefined ? [] : [`| \`${code}\` | ${error.when} | ${remedy} |`]
  })
  for (const [code, { when, file }] of errors) {
    if (!seen.has(code)) {
      problems.push(
        `errors.md lacks a row (and a remedy) for ${file}: | \`${code}\` | ${when} | ... |`,
      )
    }
  }
  return lines.join('\n')
}

/** The number that a constant is defined as in TypeScript, C++ or Python: factors, or a shift. */
function valueOf(constant, text) {
  const definition = new RegExp(`\\b${constant}\\b(?:: \\w+)?(?: = |\\{)(.+?)\\}?;?$`, 'm')
  const right = definition.exec(text)?.[1]
  const numbers = right?.replace(/\w+::\w+/g, '').match(/\d[\d_.]*/g)
  if (!numbers) return undefined
  const factors = numbers.map((number) => Number(number.replaceAll('_', '')))
  if (right.includes('<<')) return factors[0] * 2 ** factors[1]
  return factors.reduce((product, factor) => product * factor, 1)
}

/** A number of bytes as people say it. */
function inWords(bytes) {
  for (const [unit, size] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ]) {
    if (bytes >= size && bytes % size === 0) return ` (${bytes / size} ${unit})`
  }
  return ''
}

const sources = [
  ...filesBelow('lib', /\.ts$/),
  ...filesBelow('native', /\.(cc|hpp)$/),
  ...filesBelow('python/torchbed', /\.py$/),
]

/** The page with each value and file as the code has them. A row keeps its unit and its reason. */
function withLimits(page) {
  const listed = new Set()
  const lines = page.split('\n').map((line) => {
    const cells = line.split(/(?<!\\)\|/).map((text) => text.trim())
    const [, name, value, file, reason] = cells
    const constant = /^`(\w+)`$/.exec(name ?? '')?.[1]
    if (constant === undefined || cells.length !== 6) return line
    const named = file.replaceAll('`', '')
    const place = sources.includes(named) ? [named] : sources.filter(defines(constant))
    listed.add(`${place[0]}#${constant}`)
    const number = place.length === 1 ? valueOf(constant, read(place[0])) : undefined
    if (number === undefined) {
      problems.push(`limits.md: ${constant} is not defined in ${named}, nor in one other file`)
      return line
    }
    const [, unit] = /^[\d.]+(.*)$/.exec(value)
    const words = unit.startsWith(' bytes') ? ` bytes${inWords(number)}` : unit
    const text = Number.isInteger(number) && /^\d+\.0/.test(value) ? number.toFixed(1) : number
    return `| ${name} | ${text}${words} | \`${place[0]}\` | ${reason} |`
  })
  for (const file of filesBelow('lib', /constants\.ts$|limits\.ts$/)) {
    for (const [, name] of read(file).matchAll(/^export const (MAX_\w+)/gm)) {
      if (!listed.has(`${file}#${name}`)) problems.push(`limits.md lacks ${name} of ${file}`)
    }
  }
  return lines.join('\n')
}

function defines(constant) {
  const definition = new RegExp(`\\b${constant}\\b(?:: \\w+)?(?: = |\\{)`)
  return (file) => definition.test(read(file))
}

const check = process.argv.includes('--check')
for (const [path, update] of [
  ['docs/reference/errors.md', withErrors],
  ['docs/reference/limits.md', withLimits],
]) {
  const before = read(path)
  const style = await resolveConfig(join(ROOT, path))
  const after = await format(update(before), { ...style, parser: 'markdown' })
  if (after === before) continue
  if (check) problems.push(`${path} is not what the code says: node scripts/reference-pages.mjs`)
  else writeFileSync(join(ROOT, path), after)
}
for (const problem of problems) console.error(problem)
process.exitCode = problems.length > 0 ? 1 : 0
