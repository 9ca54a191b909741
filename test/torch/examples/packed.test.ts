/** The examples as a user has them: copied beside an installed tarball, compiled against its types, run with its files. */

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

import { packageRoot } from '../../../lib/runtime/package-root.js'
import { jsonEvents } from '../../support/cli.js'
import { installPacked } from '../../support/packed.js'
import { withTorch } from '../../support/workloads.js'

const execute = promisify(execFile)
const root = packageRoot()
const torchIt = withTorch ? it : it.skip

const { peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly peerDependencies: Record<string, string>
}

/** What the examples need besides torchbed, and types to compile them with. */
const BESIDE = ['@types/node', 'fastify', 'prom-client', 'undici-types'].concat(
  Object.keys(peerDependencies),
)

const PYTHON = join('.venv', process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python')

describe('the examples, beside an installed tarball', function () {
  this.timeout(180_000) // Compiles, and each program imports torch, on a machine that may be busy.
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-examples-'))
    await installPacked(folder, BESIDE)
    await cp(join(root, 'examples'), join(folder, 'examples'), {
      recursive: true,
      filter: (path) => !path.includes('__pycache__'),
    })
    await symlink(join(root, '.venv'), join(folder, '.venv'), 'dir')
    await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n')
    const { compilerOptions } = JSON.parse(await readFile(join(root, 'tsconfig.json'), 'utf8')) as {
      compilerOptions: Record<string, unknown>
    }
    const tsconfig = {
      compilerOptions: { ...compilerOptions, types: ['node'] },
      include: ['examples/**/*.ts'],
    }
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig))
  })
  after(() => rm(folder, { recursive: true }))

  /** Runs a program of the folder; the native library is the one that this repository has built. */
  const environment = () => ({
    ...process.env,
    ...{ TORCHBED_PREBUILD: root, TORCHBED_PYTHON: join(folder, PYTHON) },
  })
  const run = (...args: string[]) =>
    execute(process.execPath, args, { cwd: folder, env: environment(), timeout: 150_000 })

  /** Changes the copied config of an example, so that a little training is enough. */
  const change = async (name: string, changes: Record<string, Record<string, unknown>>) => {
    const path = join(folder, 'examples', name, 'config.json')
    const config = JSON.parse(await readFile(path, 'utf8')) as Record<string, object>
    for (const [part, values] of Object.entries(changes)) Object.assign(config[part]!, values)
    await writeFile(path, JSON.stringify(config))
  }

  it('compile against the types of the tarball, without a file of the repository', async () => {
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    await run(compiler, '-p', folder).catch((error: unknown) => {
      assert.fail((error as { stdout: string }).stdout)
    })
  })

  torchIt('digits trains, and ends with a model', async () => {
    await change('digits', { training: { peers: 1, windows: 1 } })
    const { stdout } = await run('dist/examples/digits/start.js', '--json')
    const summary = jsonEvents(stdout).at(-1)
    assert.equal(summary?.event, 'summary')
    assert.ok((summary.accuracy as number) > 0.5, `accuracy ${String(summary.accuracy)}`)
    assert.ok((await stat(join(folder, 'out', 'digits', 'model.safetensors'))).size > 1000)
  })

  torchIt('bytes-gpt trains, and ends with a model', async () => {
    await change('bytes-gpt', { training: { peers: 1, windows: 1, budget_work_units: 1024 } })
    const { stdout } = await run('dist/examples/bytes-gpt/start.js', '--json')
    assert.equal(jsonEvents(stdout).at(-1)?.event, 'summary')
    assert.ok((await stat(join(folder, 'out', 'bytes-gpt', 'model.safetensors'))).size > 1000)
  })

  torchIt('from-script trains, and saves a model', async () => {
    const args = ['--epochs', '1', '--out', 'from-script.safetensors']
    const { stdout } = await run('examples/from-script/after/train.mjs', ...args)
    assert.match(stdout, /^epoch 1: loss .*\nsaved from-script\.safetensors\n$/)
  })

  torchIt('swarm trains with two peers, a process each', async () => {
    const { stdout } = await run(
      'dist/examples/swarm/start.js',
      ...['--peers', '2', '--windows', '1', '--json'],
    )
    const summary = jsonEvents(stdout).at(-1)
    assert.equal(summary?.event, 'summary')
    assert.equal(summary.divergent, 0)
  })

  torchIt('server serves its page, trains, saves the weights and leaves at SIGTERM', async () => {
    const args = ['dist/examples/server/main.js', '--port', '0', '--windows', '1', '--out', 's.bin']
    const child = spawn(process.execPath, args, {
      ...{ cwd: folder, env: environment(), timeout: 100_000, killSignal: 'SIGKILL' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    for await (const line of createInterface(child.stdout)) {
      output += `${line}\n`
      const url = /^listening on (\S+)$/.exec(line)?.[1]
      if (url !== undefined) assert.match(await (await fetch(url)).text(), /<html/)
      if (line.startsWith('training ')) child.kill('SIGTERM')
    }
    assert.match(output, /^training done after 1 windows; saved s\.bin$/m)
    assert.ok((await stat(join(folder, 's.bin'))).size > 1000)
  })
})
