/** The workflows name what exists, and trust GitHub alone. actionlint reads the rest, in `npm run check`. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../../lib/runtime/package-root.js'

const root = packageRoot()
const folder = join(root, '.github', 'workflows')
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>
}

describe('the workflows', () => {
  for (const name of readdirSync(folder)) {
    const text = readFileSync(join(folder, name), 'utf8')

    it(`${name} runs scripts and files that exist`, () => {
      const named = [...text.matchAll(/npm (?:run ([\w:-]+)|(test))/g)].map(
        ([, script, test]) => script ?? test!,
      )
      assert.ok(named.length > 0)
      assert.deepEqual(
        named.filter((script) => !(script in scripts)),
        [],
      )
      for (const [path] of text.matchAll(/(?:scripts|native|lib)\/[\w./-]+/g)) {
        assert.ok(existsSync(join(root, path)), path)
      }
    })

    it(`${name} uses GitHub's own actions alone, names no other host and holds no secret`, () => {
      for (const [, action] of text.matchAll(/uses: (\S+)/g)) assert.match(action!, /^actions\//)
      assert.doesNotMatch(text, /:\/\/|secrets\./)
    })
  }
})
