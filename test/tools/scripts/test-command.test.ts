import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const COMMAND = fileURLToPath(new URL('../../../../scripts/test.mjs', import.meta.url))

describe('the command that runs the tests', () => {
  let folder: string

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed test command '))
  })
  after(() => rm(folder, { recursive: true }))

  /** Run the command on a test file with this content; return its exit code and its output. */
  async function run(name: string, content: string, ...args: string[]) {
    const path = join(folder, name)
    await writeFile(path, content)
    const { status, stdout } = spawnSync(process.execPath, [COMMAND, path, ...args], {
      encoding: 'utf8',
    })
    const lines = stdout.trimEnd().split('\n')
    return { status, lines, sum: lines.at(-1) }
  }

  it('closes with the sum, and succeeds when everything passed', async () => {
    const content = "it('passes', () => {}); it('passes too', () => {}); it('is skipped')"
    const { status, sum, lines } = await run('pass.test.js', content)
    assert.equal(sum, '2 passed, 0 failed, 1 skipped')
    assert.equal(status, 0)
    assert.ok(
      lines.some((line) => line.includes('passes too')),
      'the tests themselves are shown',
    )
  })

  it('fails when a test fails', async () => {
    const content = "it('passes', () => {}); it('fails', () => { throw new Error('so') })"
    const { status, sum } = await run('fail.test.js', content)
    assert.equal(sum, '1 passed, 1 failed, 0 skipped')
    assert.equal(status, 1)
  })

  it('counts a crash of the runner as a failure', async () => {
    const content = "it('crashes', () => process.kill(process.pid, 'SIGKILL'))"
    const { status, sum, lines } = await run('crash.test.js', content)
    assert.equal(sum, '0 passed, 1 failed, 0 skipped')
    assert.equal(status, 1)
    assert.equal(lines.at(-2), 'mocha ended with signal SIGKILL, without a result')
  })

  it('counts a crash after the last test as a failure', async () => {
    const content =
      "it('passes', () => {}); process.on('exit', () => process.kill(process.pid, 'SIGKILL'))"
    const { status, sum } = await run('late.test.js', content)
    assert.equal(sum, '1 passed, 1 failed, 0 skipped')
    assert.equal(status, 1)
  })

  it('fails when no test is executed', async () => {
    const content = "it('passes', () => {})"
    const { status, sum } = await run('none.test.js', content, '--grep', 'no such words')
    assert.equal(sum, '0 passed, 1 failed, 0 skipped')
    assert.equal(status, 1)
    const skipped = await run('skipped.test.js', "it('is skipped')")
    assert.equal(skipped.sum, '0 passed, 0 failed, 1 skipped')
    assert.equal(skipped.status, 1)
  })

  it('runs a file of pytest when it is given one', async function () {
    const { status, sum, lines } = await run('test_one.py', 'def test_passes(): pass\n')
    if (lines.some((line) => line.includes('ENOENT'))) return this.skip() // no .venv here
    assert.equal(sum, '1 passed, 0 failed, 0 skipped')
    assert.equal(status, 0)
  })
})
