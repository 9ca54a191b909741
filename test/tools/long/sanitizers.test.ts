/** A short cut of the runs under sanitizers; `npm run test:long` has all. Needs Linux and GCC. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { packageRoot } from '../../../lib/runtime/package-root.js'

const COMMAND = join(packageRoot(), 'scripts', 'sanitize.mjs')

const hasGcc = spawnSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout

const linux = process.platform === 'linux' && hasGcc ? describe : describe.skip

linux('the native code', () => {
  for (const [name, title] of [
    ['address', 'AddressSanitizer and UndefinedBehaviorSanitizer'],
    ['thread', 'ThreadSanitizer'],
  ] as const) {
    it(`lends memory without a report of ${title}`, function () {
      this.timeout(300_000)
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [COMMAND, name, 'test/runtime/lent-kept.test.ts'],
        { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } },
      )
      assert.equal(status, 0, stdout + stderr)
      assert.match(stderr, /exit code 0, [1-9]\d* passed, 0 reports/)
      assert.match(stdout, new RegExp(`^${title}: no report$`, 'm'))
    })
  }
})
