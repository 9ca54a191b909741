/** Peers as processes on loopback train the digits example; one of them is killed and comes back. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageRoot } from '../../lib/runtime/package-root.js'
import { jsonEvents } from '../support/cli.js'

const program = join(packageRoot(), 'dist', 'examples', 'swarm', 'start.js')

describe('npm run swarm', function () {
  this.timeout(240_000)

  it('trains with processes that are killed meanwhile, and all end with the same heads', async () => {
    const out = await mkdtemp(join(tmpdir(), 'torchbed-swarm-'))
    try {
      const args = ['--peers', '3', '--windows', '10', '--kill', '--json', '--out', out]
      const events = await run([program, ...args])
      const summary = events.at(-1)!
      assert.equal(summary.event, 'summary')
      assert.ok((summary.kills as number) >= 1)
      assert.equal(summary.divergent, 0)
      assert.equal(summary.peers, 3)
      assert.ok((summary.heads as number) >= 10)
      assert.ok((summary.accuracy as number) >= 0.9, String(summary.accuracy))
      const resumed = events.filter(({ event }) => event === 'resumed')
      assert.ok(resumed.length >= 1)
    } finally {
      await rm(out, { recursive: true, force: true })
    }
  })
})

async function run(args: string[]): Promise<Record<string, unknown>[]> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const late = setTimeout(() => child.kill('SIGTERM'), 200_000)
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  clearTimeout(late)
  const events = jsonEvents(stdout)
  assert.equal(code, 0, JSON.stringify(events.at(-1)))
  return events
}
