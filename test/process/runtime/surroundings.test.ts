/** Places and environments that Python must start in all the same. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findPython } from '../../../lib/index.js'
import { nodeOnTerminal, rows, withTerminals } from '../../support/terminal.js'
import { doing, withTorch, workloadRoot } from '../../support/workloads.js'

const run = promisify(execFile)
const library = import.meta.resolve('../../../lib/index.js')

describe('a Python that starts', () => {
  let folder: string
  before(async function () {
    this.timeout(120_000)
    folder = await mkdtemp(join(tmpdir(), 'torchbed übung ✓ '))
    const { executable } = await findPython()
    await run(executable, ['-m', 'venv', '--without-pip', join(folder, 'venv')])
  })
  after(() => rm(folder, { recursive: true }))

  /** What an embedded Python of the venv says of itself, in an environment of its own. */
  async function started(env: Record<string, string>): Promise<Record<string, string>> {
    const python = join(folder, 'venv', 'bin', 'python')
    const code = `
      import { EmbeddedRuntime } from ${JSON.stringify(library)}
      const runtime = await EmbeddedRuntime.start({ python: ${JSON.stringify(python)} })
      const session = await runtime.openWorkload({
        factory: 'plain:create_workload', moduleSearchRoots: [${JSON.stringify(workloadRoot)}] })
      await session.call('init_model', { device: 'cpu' })
      const facts = "{'executable': sys.executable, 'prefix': sys.prefix, 'encoding': sys.getfilesystemencoding()}"
      const batches = [{ payload: { return: facts } }]
      const { metrics } = await session.call('train_window', { model_id: 'm1', batches })
      console.log(JSON.stringify(metrics))`
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', code], {
      env: { PATH: process.env.PATH, ...env },
      timeout: 30_000,
    })
    return JSON.parse(stdout) as Record<string, string>
  }

  for (const [title, env] of [
    ['the C locale', { LC_ALL: 'C' }],
    ['a UTF-8 locale', { LC_ALL: 'C.UTF-8' }],
    ['no locale and no HOME', {}],
  ] as const) {
    it(`below a folder with spaces and other letters, in ${title}, has proper names`, async () => {
      const facts = await started(env)
      assert.deepEqual(facts, {
        executable: join(folder, 'venv', 'bin', 'python'),
        prefix: join(folder, 'venv'),
        encoding: 'utf-8',
      })
    })
  }

  it('ignores the PYTHONHOME of another Python', async () => {
    const facts = await started({ PYTHONHOME: '/nowhere' })
    assert.equal(facts.prefix, join(folder, 'venv'))
  })
})

const terminalDescribe = withTerminals ? describe : describe.skip

terminalDescribe('a terminal (skipped where there are no ptys)', () => {
  it('is that of a command in a hook, too, when Node.js used it first after the start', async () => {
    const command = ['sh', '-c', 'echo from a command; echo its error >&2']
    const statement = `import subprocess; subprocess.run(${JSON.stringify(command)}, check=True)`
    const code = `
      import { EmbeddedRuntime } from ${JSON.stringify(library)}
      const runtime = await EmbeddedRuntime.start()
      const session = await runtime.openWorkload({
        factory: 'plain:create_workload', moduleSearchRoots: [${JSON.stringify(workloadRoot)}] })
      await session.call('init_model', { device: 'cpu' })
      console.log('from Node.js')
      console.error('its error')
      await session.call('train_window', ${JSON.stringify(doing(statement))})`
    const args = ['--input-type=module', '--eval', code]
    const end = await nodeOnTerminal(args, { cwd: tmpdir(), columns: 80 })
    assert.equal(end.code, 0, end.output)
    assert.deepEqual(rows(end.output), ['from Node.js', 'its error', 'from a command', 'its error'])
  })
})

describe('a Python that does not start', () => {
  it('lets the process end, although torch is loaded already', async function () {
    if (!withTorch) return this.skip()
    const folder = await mkdtemp(join(tmpdir(), 'torchbed-site-'))
    try {
      const site = `
import sys, types
import torch
(torch.ones(2, requires_grad=True) ** 2).sum().backward()
sys.modules['torchbed'] = types.ModuleType('torchbed')`
      await writeFile(join(folder, 'sitecustomize.py'), site)
      const code = `
        import { EmbeddedRuntime } from ${JSON.stringify(library)}
        const env = { PYTHONPATH: ${JSON.stringify(folder)} }
        await EmbeddedRuntime.start({ env }).catch(({ code }) => console.log(code))`
      const args = ['--input-type=module', '--eval', code]
      const { stdout } = await run(process.execPath, args, {
        timeout: 30_000,
        killSignal: 'SIGKILL',
      })
      assert.equal(stdout, 'ERR_PYTHON_START\n')
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
