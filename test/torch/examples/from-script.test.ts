/** examples/from-script: what was moved to torchbed computes what the script did. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { findPython } from '../../../lib/index.js'
import { example } from '../../support/cli.js'
import { withTorch } from '../../support/workloads.js'

const run = promisify(execFile)
const torchIt = withTorch ? it : it.skip
const before = example('from-script', 'before', 'train.py')
const after = example('from-script', 'after', 'train.mjs')

describe('examples/from-script', () => {
  torchIt('prints the same losses and writes the same bytes before and after', async function () {
    this.timeout(120_000) // Two programs that import torch, on a machine that may be busy.
    const folder = await mkdtemp(join(tmpdir(), 'torchbed-from-script-'))
    try {
      const { executable } = await findPython()
      const env = { ...process.env, TORCHBED_PYTHON: executable }
      const train = async (program: string, script: string) => {
        const out = `${basename(script)}.safetensors`
        const args = [script, '--epochs', '4', '--hidden', '32', '--seed', '3', '--out', out]
        const { stdout } = await run(program, args, { cwd: folder, env, timeout: 100_000 })
        return { stdout, model: await readFile(join(folder, out)) }
      }
      const [script, moved] = await Promise.all([
        train(executable, before),
        train(process.execPath, after),
      ])
      assert.match(
        script.stdout,
        /^epoch 4: loss 0\.\d{6}, test loss 0\.\d{6}, accuracy 0\.9\d{3}$/m,
      )
      assert.equal(moved.stdout.replace('train.mjs', 'train.py'), script.stdout)
      assert.ok(moved.model.equals(script.model), 'other weights')
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('has a README whose hunks hold only lines that the files have', async () => {
    const lines = async (path: string) =>
      (await readFile(path, 'utf8')).split('\n').map((line) => line.trim())
    const script = await lines(before)
    const moved = [
      ...(await lines(after)),
      ...(await lines(example('from-script', 'after', 'workload.py'))),
    ]
    const readme = await readFile(example('from-script', 'README.md'), 'utf8')
    const hunks = [...readme.matchAll(/^```diff\n(.*?)^```$/gms)].map(([, hunk]) => hunk!)
    assert.equal(hunks.length, 6)
    for (const line of hunks.join('').trimEnd().split('\n')) {
      const source = line.startsWith('-') ? script : moved
      assert.ok(source.includes(line.slice(1).trim()), line)
    }
  })
})
