/** `torchbed init`, and `torchbed train` on what it wrote. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prepareDataset } from '../../../lib/cli/train/prepare.js'
import { findPython } from '../../../lib/index.js'
import { packageRoot } from '../../../lib/runtime/package-root.js'
import { shellWord } from '../../../lib/runtime/python/install-commands.js'
import { jsonEvents, torchbed } from '../../support/cli.js'
import { withSmallDisk } from '../../support/small-disk.js'
import { withTorch } from '../../support/workloads.js'

const files = ['prepare.py', 'spirals.py', 'torchbed.json']

describe('torchbed init', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-init-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('writes three files and says in three lines what they are for', async () => {
    const end = await torchbed(['init'], { cwd: folder })
    assert.equal(end.code, 0, end.stderr)
    assert.deepEqual((await readdir(folder)).sort(), files)
    assert.equal(end.stderr, '')
    const lines = end.stdout.trimEnd().split('\n')
    assert.equal(lines.length, 3)
    assert.match(lines[1]!, /npx torchbed train/)
  })

  it('makes the folder that is named, and says how to get there', async () => {
    const end = await torchbed(['init', 'a/new one'], { cwd: folder })
    assert.equal(end.code, 0, end.stderr)
    assert.deepEqual((await readdir(join(folder, 'a', 'new one'))).sort(), files)
    assert.match(end.stdout, /cd 'a\/new one' && npx torchbed train/)
  })

  it('prints folder, files and next commands as JSON', async () => {
    const end = await torchbed(['init', 'project', '--json'], { cwd: folder })
    const report = JSON.parse(end.stdout) as Record<string, unknown>
    assert.ok(String(report.folder).endsWith('project'))
    assert.deepEqual(new Set(report.files as string[]), new Set(files))
    assert.deepEqual(report.next, ['cd project', 'npx torchbed train'])
  })

  it('prints nothing with --quiet', async () => {
    const end = await torchbed(['init', '--quiet'], { cwd: folder })
    assert.deepEqual([end.code, end.stdout, end.stderr], [0, '', ''])
  })

  it('overwrites nothing: it lists what is there, a dangling link too, and writes no file', async () => {
    await writeFile(join(folder, 'spirals.py'), 'mine')
    await symlink('nowhere', join(folder, 'prepare.py'))
    const end = await torchbed(['init', '--json'], { cwd: folder })
    assert.equal(end.code, 1)
    const { error } = JSON.parse(end.stdout) as { error: { code: string; message: string } }
    assert.equal(error.code, 'ERR_FILES_EXIST')
    assert.match(error.message, /spirals\.py\n.*prepare\.py\nName another folder, or .*--force/)
    assert.match(end.stderr, /^ERR_FILES_EXIST: /)
    assert.equal(await readFile(join(folder, 'spirals.py'), 'utf8'), 'mine')
    assert.equal(existsSync(join(folder, 'torchbed.json')), false)
  })

  it('overwrites its own files with --force, and touches no other', async () => {
    await writeFile(join(folder, 'spirals.py'), 'mine')
    await writeFile(join(folder, 'notes.txt'), 'mine')
    const end = await torchbed(['init', '--force'], { cwd: folder })
    assert.equal(end.code, 0, end.stderr)
    assert.match(await readFile(join(folder, 'spirals.py'), 'utf8'), /class Spirals/)
    assert.equal(await readFile(join(folder, 'notes.txt'), 'utf8'), 'mine')
  })

  it('names the folder that it cannot make', async () => {
    await writeFile(join(folder, 'file'), '')
    const end = await torchbed(['init', 'file/inside'], { cwd: folder })
    assert.equal(end.code, 2)
    assert.match(end.stderr, /^ERR_CONFIG: Cannot write to ".*inside":\n {2}ENOTDIR/)
  })

  it('fails, and is not misused, when the disk is full', async function () {
    const disk = join(folder, 'disk')
    const ran = await withSmallDisk(disk, '4k', async () => {
      await writeFile(join(disk, 'first'), 'full')
      const end = await torchbed(['init', disk])
      assert.equal(end.code, 1)
      assert.match(end.stderr, /^ENOSPC: .*no space left/)
    })
    if (!ran) this.skip()
  })

  it('writes files that are in the package', async () => {
    const manifest = await readFile(join(packageRoot(), 'package.json'), 'utf8')
    const { files: packed } = JSON.parse(manifest) as { files: string[] }
    assert.ok(packed.includes('lib/cli/init/templates'))
    assert.deepEqual(
      (await readdir(join(packageRoot(), 'lib', 'cli', 'init', 'templates'))).sort(),
      files,
    )
  })
})

describe('torchbed train on a first project', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-first-'))
    assert.equal((await torchbed(['init'], { cwd: folder })).code, 0)
  })
  afterEach(() => rm(folder, { recursive: true }))

  async function changeConfig(change: (config: ProjectConfig) => void): Promise<void> {
    const path = join(folder, 'torchbed.json')
    const config = JSON.parse(await readFile(path, 'utf8')) as ProjectConfig
    change(config)
    await writeFile(path, JSON.stringify(config))
  }

  const torchIt = withTorch ? it : it.skip

  torchIt(
    'makes the data and learns, without an argument and without a package but torch',
    async () => {
      await changeConfig((config) => (config.training.windows = 3))
      // Not even safetensors and numpy can be imported.
      await mkdir(join(folder, 'refused'))
      for (const name of ['safetensors', 'numpy']) {
        const code = `raise ModuleNotFoundError("no ${name} here", name="${name}")\n`
        await writeFile(join(folder, 'refused', `${name}.py`), code)
      }
      const { executable } = await findPython()
      const env = { TORCHBED_PYTHON: executable, PYTHONPATH: join(folder, 'refused') }
      const end = await torchbed(['train', '--json'], { cwd: folder, env })
      assert.equal(end.code, 0, end.stderr)
      const events = jsonEvents(end.stdout)
      const [prepared, start] = events
      assert.equal(prepared?.event, 'prepared')
      assert.ok(String(prepared.root).endsWith(join('data', 'train')))
      assert.equal(start?.workload, 'spirals')
      const promoted = events.filter(({ event }) => event === 'promoted')
      assert.deepEqual(
        promoted.map(({ from }) => from),
        ['genesis', 'merge', 'merge', 'merge'],
      )
      const summary = events.at(-1) as { event: string; accuracy: number }
      assert.equal(summary.event, 'summary')
      assert.ok(summary.accuracy > 0.8, `${summary.accuracy}`)
    },
  ).timeout(60_000)

  it('says which Python has no torch, and how to install it there', async () => {
    // A module that is found first and raises as a missing one does.
    await mkdir(join(folder, 'without'))
    const code = 'raise ModuleNotFoundError("No module named \'torch\'", name="torch")\n'
    await writeFile(join(folder, 'without', 'torch.py'), code)
    const { executable } = await findPython()
    const env = { TORCHBED_PYTHON: executable, PYTHONPATH: join(folder, 'without') }
    const end = await torchbed(['train', '--quiet'], { cwd: folder, env })
    assert.equal(end.code, 1)
    assert.equal(end.stdout, '')
    assert.match(end.stderr, /ERR_TORCH_MISSING: /)
    assert.ok(end.stderr.includes(`${shellWord(executable)} -m pip install torch`), end.stderr)
  })

  it('ends with the words of a prepare script that fails, and trains nothing', async () => {
    await writeFile(join(folder, 'prepare.py'), 'import sys; sys.exit("no disk is mounted")\n')
    const end = await torchbed(['train', '--json'], { cwd: folder })
    assert.equal(end.code, 1)
    const events = jsonEvents(end.stdout)
    assert.deepEqual(
      events.map(({ event, code }) => [event, code]),
      [['error', 'ERR_DATASET_PREPARE']],
    )
    assert.match(
      String(events[0]!.message),
      /prepare\.py" ended with exit code 1.*\n {2}no disk is mounted/,
    )
  })

  it('says so when the prepare script makes no shards', async () => {
    await writeFile(join(folder, 'prepare.py'), 'print("done")\n')
    const end = await torchbed(['train'], { cwd: folder })
    assert.equal(end.code, 1)
    assert.match(end.stderr, /^done\nERR_DATASET_PREPARE: .*no \*\.safetensors file in .*train"/)
  })

  it('names the remedy when there are no shards and no prepare script', async () => {
    await changeConfig((config) => delete config.dataset.prepare)
    const end = await torchbed(['train'], { cwd: folder })
    assert.equal(end.code, 2)
    assert.match(end.stderr, /dataset\.root: there is no \*\.safetensors file .*"dataset\.prepare"/)
  })

  it('ends with 130 while the prepare script runs, and takes the script along', async () => {
    await writeFile(
      join(folder, 'prepare.py'),
      'import os, time; print(os.getpid(), flush=True); time.sleep(60)\n',
    )
    let script = 0
    const end = await torchbed(['train'], {
      cwd: folder,
      onStderr: (stderr, child) => {
        if (script !== 0 || !/^\d+\n/.test(stderr)) return
        script = Number.parseInt(stderr)
        child.kill('SIGINT')
      },
    })
    assert.equal(end.code, 130, end.stderr)
    assert.match(end.stderr, /Stopped by Ctrl-C before the first head was complete/)
    assert.throws(() => process.kill(script, 0), { code: 'ESRCH' })
  })

  it('ends a prepare script that ignores signals', async () => {
    await writeFile(
      join(folder, 'prepare.py'),
      'import os, signal, time\n' +
        'signal.signal(signal.SIGTERM, signal.SIG_IGN)\n' +
        'print(os.getpid(), flush=True)\ntime.sleep(60)\n',
    )
    let script = 0
    const end = await torchbed(['train'], {
      cwd: folder,
      onStderr: (stderr, child) => {
        if (script !== 0 || !/^\d+\n/.test(stderr)) return
        script = Number.parseInt(stderr)
        child.kill('SIGTERM')
      },
    })
    assert.equal(end.code, 143, end.stderr)
    // A dead one that nobody waits for any more is shown as Z.
    const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', `${script}`], { encoding: 'utf8' })
    assert.match(stdout, /^(Z.*\n)?$/)
  })

  it('starts no prepare script when it was stopped while it looked for Python', async () => {
    await writeFile(join(folder, 'prepare.py'), 'open("was run", "w")\n')
    const controller = new AbortController()
    const preparing = prepareDataset({
      ...{ root: join(folder, 'data', 'train'), script: join(folder, 'prepare.py'), env: {} },
      ...{ python: undefined, signal: controller.signal },
      onStart: () => assert.fail('the script was started'),
      onLine: () => undefined,
    })
    controller.abort()
    await assert.rejects(preparing, { code: 'ABORT_ERR' })
    assert.equal(existsSync(join(folder, 'was run')), false)
  })
})

interface ProjectConfig {
  dataset: { prepare?: string }
  training: { windows: number }
}
