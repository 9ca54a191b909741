/** Citations of the specification, such as `spec planning#leases`: each names a heading of docs/reference/spec. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { anchorsOf, read, root } from './blocks.js'

const SPEC = 'docs/reference/spec'

/** The headings of each page of the specification, by the page's name. */
const pages = new Map(
  readdirSync(join(root, SPEC)).map((file) => [
    file.replace(/\.md$/, ''),
    anchorsOf(`${SPEC}/${file}`),
  ]),
)

/** What cites the specification in a comment, a docstring or a title. */
function citingFiles(): string[] {
  return ['lib', 'native', 'python', 'test', 'bench', 'scripts', 'examples', 'docs'].flatMap(
    (folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.(m?ts|mjs|py|cc|hpp|md)$/.test(name))
        .map((name) => `${folder}/${name}`),
  )
}

/** Citations of a page or a heading that does not exist, and those by number. */
function unresolved(text: string): string[] {
  const names = [...pages.keys()].join('|')
  const headings = [...text.matchAll(new RegExp(`\\b(${names})#([\\w-]+)`, 'g'))]
  const wrong = headings
    .filter(([, page, heading]) => !pages.get(page!)!.has(heading!))
    .map(([citation]) => citation)
  // With a heading, so that an ordinary sentence about a spec is none.
  const others = [...text.matchAll(/\bspec ([\w-]+)#[\w-]+/gi)]
    .filter(([, page]) => !pages.has(page!))
    .map(([citation]) => citation)
  const numbers = [...text.matchAll(/\bspec(?:ification)?,? sections? \d[\d.]*/gi)]
  return [...wrong, ...others, ...numbers.map(([citation]) => citation)]
}

describe('the citations of the specification', () => {
  it('name a page and a heading that exist', () => {
    const found = citingFiles()
      .filter((path) => path !== 'test/tools/docs/citations.test.ts')
      .flatMap((path) => unresolved(read(path)).map((citation) => `${path}: ${citation}`))
    assert.deepEqual(found, [])
  })

  it('are seen when they lead nowhere', () => {
    assert.deepEqual(unresolved('(spec planning#leases, store#layout)'), [])
    assert.deepEqual(unresolved('spec planning#nothing'), ['planning#nothing'])
    assert.deepEqual(unresolved('Spec nothing#leases'), ['Spec nothing#leases'])
    assert.deepEqual(unresolved('spec sections 7.2 and 7.3'), ['spec sections 7.2'])
  })
})
