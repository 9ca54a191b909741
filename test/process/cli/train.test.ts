/** `torchbed train` as a user runs it. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { processStamp } from '../../../lib/files/process-stamp.js'
import { FsArtifactStore } from '../../../lib/store/index.js'
import { canonicalLineage, readCanonicalHead } from '../../../lib/store/canonical-head.js'
import { jsonEvents, torchbed } from '../../support/cli.js'
import { withSmallDisk } from '../../support/small-disk.js'
import { writeShards } from '../../support/shards.js'
import { workloadRoot } from '../../support/workloads.js'

describe('torchbed train', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed trän '))
    await writeShards(join(folder, 'shards'), 3, 16)
  })
  afterEach(() => rm(folder, { recursive: true }))

  async function config(changes: Record<string, unknown> = {}): Promise<string> {
    const path = join(folder, 'config.json')
    const content = {
      runtime: { module_search_roots: [workloadRoot], workload_factory: 'plain:create_mergeable' },
      dataset: { root: 'shards', microshards_per_batch: 2 },
      training: { windows: 3, evaluation_split: 'Test' },
      ...changes,
    }
    await writeFile(path, JSON.stringify(content))
    return path
  }

  const out = () => join(folder, 'out')

  it('trains, evaluates and keeps the artifact and a report', async () => {
    const end = await torchbed(['train', await config(), '--out', out(), '--json'])
    assert.equal(end.code, 0, end.stderr + end.stdout)
    const events = jsonEvents(end.stdout)
    assert.deepEqual(
      events.map(({ event }) => event),
      [
        'start',
        'promoted',
        ...Array.from({ length: 3 }, () => ['window', 'promoted']).flat(),
        'summary',
      ],
    )
    const summary = events.at(-1) as Record<string, number | string>
    assert.equal(summary.accuracy, 0.75)
    assert.ok(Number(summary.loopDelayP99Ms) >= 0)
    assert.ok(Number(summary.idleLoopDelayP99Ms) >= 0)
    assert.equal(summary.head, 'experiment-merged-window-3')
    // Two batches a window, of two and of one shard; each merge takes half of what is new.
    const artifact = JSON.parse(await readFile(join(out(), 'model.safetensors'), 'utf8')) as object
    assert.deepEqual(artifact, {
      device: 'python-plain',
      steps: 3,
      policy: 'QualityWeightedEma',
      weights: [20],
    })
    const report = JSON.parse(await readFile(join(out(), 'report.json'), 'utf8')) as {
      history: unknown[]
    }
    assert.equal(report.history.length, 4)
    assert.match(await readFile(join(out(), 'curve.svg'), 'utf8'), /^<svg .*<\/svg>\n$/s)
    assert.deepEqual(readdirSync(out()).sort(), [
      'curve.svg',
      'model.safetensors',
      'peers',
      'report.json',
      'store',
    ])
  })

  it('shows a table for people, and a line a window where there is no terminal', async () => {
    const end = await torchbed(['train', await config(), '--out', out()])
    assert.equal(end.code, 0, end.stderr)
    assert.match(end.stdout, /held-out accuracy +0\.7500\n/)
    const windows = end.stderr.split('\n').filter((line) => line.startsWith('window '))
    assert.equal(windows.length, 3, end.stderr)
    assert.match(
      windows[2]!,
      /^window 3\/3 {2}held-out loss 0\.2500 {2}accuracy 0\.7500 {2}loss 0\.5000/,
    )
  })

  /** A workload that prints a line in each window. */
  const printing = {
    module_search_roots: [workloadRoot],
    workload_factory: 'plain:create_interruptible',
    workload_config: { statement: 'print("from a hook")', after: 0 },
  }

  it('prints the path of the model alone with --quiet, and with --json too the last event alone', async () => {
    const args = ['train', await config({ runtime: printing }), '--out', out(), '--quiet']
    const end = await torchbed(args)
    const model = relative('', join(out(), 'model.safetensors'))
    assert.deepEqual([end.code, end.stdout, end.stderr], [0, `${model}\n`, ''])
    const again = await torchbed([...args, '--json'])
    assert.deepEqual([again.code, again.stderr], [0, ''])
    assert.deepEqual(
      jsonEvents(again.stdout).map(({ event }) => event),
      ['summary'],
    )
  })

  it('keeps what hooks print off stdout, so that every line of --json is an event', async () => {
    const args = ['train', await config({ runtime: printing }), '--out', out(), '--json']
    const end = await torchbed(args)
    assert.equal(end.code, 0, end.stderr)
    assert.equal(jsonEvents(end.stdout).at(-1)?.event, 'summary')
    assert.match(end.stderr, /^from a hook\n/)
  })

  it('writes no escape sequence where there is no terminal, unless colours are asked for', async () => {
    const args = ['train', await config({ dataset: { root: 'none' } }), '--out', out()]
    const plain = { FORCE_COLOR: '', NO_COLOR: '' }
    const end = await torchbed(args, { env: plain })
    assert.ok(!end.stderr.includes('\u001b'), end.stderr)
    const coloured = await torchbed(args, { env: { ...plain, FORCE_COLOR: '1' } })
    assert.ok(coloured.stderr.includes('\u001b[31mERR_CONFIG\u001b[39m: '), coloured.stderr)
    const both = await torchbed(args, { env: { FORCE_COLOR: '1', NO_COLOR: '1' } })
    assert.ok(!both.stderr.includes('\u001b'), both.stderr)
  })

  it('ends with 141 when the reader of its output is gone', async () => {
    const end = await torchbed(['train', await config(), '--out', out(), '--json'], {
      onStdout: (_, child) => child.stdout?.destroy(),
    })
    assert.equal(end.code, 141, end.stderr)
  })

  describe('bad usage', () => {
    async function refused(args: string[], message: RegExp, code = 2): Promise<void> {
      const end = await torchbed(args)
      assert.equal(end.code, code, end.stderr)
      assert.match(end.stderr, message)
      assert.doesNotMatch(end.stderr, /at async|node:internal/)
    }

    it('without a config names the file that is looked for, and torchbed init', async () => {
      const end = await torchbed(['train'], { cwd: folder })
      assert.equal(end.code, 2)
      assert.match(end.stderr, /Cannot read ".*torchbed\.json":\n.*no such file; "torchbed init"/)
    })

    it('with a misspelt option suggests the right one', () =>
      refused(['train', 'x.json', '--jsno'], /Did you mean --json\?/))

    it('with a misspelt command suggests the right one', () =>
      refused(['trian'], /Did you mean train\?/))

    it('with a config file that is not there names it', () =>
      refused(['train', join(folder, 'none.json')], /ERR_CONFIG: .*none\.json.*no such file/s))

    it('with a config that is no JSON says so', async () => {
      const path = join(folder, 'broken.json')
      await writeFile(path, '{"runtime": ')
      await refused(['train', path], /ERR_CONFIG/)
    })

    it('with wrong types lists every problem with its path', async () => {
      const path = await config({
        runtime: { workload_factory: 3, env: { A: 1 } },
        dataset: {},
        training: { windows: 1.5, evaluation_split: 'Tset' },
      })
      const end = await torchbed(['train', path])
      assert.equal(end.code, 2)
      const places = [
        'runtime.workload_factory',
        'runtime.env.A',
        'dataset.root',
        'training.windows',
        'training.evaluation_split',
      ]
      for (const place of places) assert.ok(end.stderr.includes(`${place}: `), end.stderr)
    })

    it('with a folder of shards that is not there says what to run', async () => {
      const path = await config({ dataset: { root: 'elsewhere' } })
      await refused(['train', path, '--out', out()], /elsewhere.*prepare script/s)
    })

    it('with an output folder that cannot be written says so before training', async () => {
      await writeFile(join(folder, 'file'), '')
      await refused(
        ['train', await config(), '--out', join(folder, 'file', 'out')],
        /ERR_CONFIG: Cannot write to .*--out/s,
      )
    })
  })

  it('ends with 1 and the Python traceback when a hook raises', async () => {
    const path = await config({
      runtime: { module_search_roots: [workloadRoot], workload_factory: 'plain:create_failing' },
    })
    const end = await torchbed(['train', path, '--out', out()])
    assert.equal(end.code, 1)
    assert.match(end.stderr, /ERR_WORKLOAD_IMPORT: .*no such dataset/s)
    assert.match(end.stderr, /plain\.py/)
  })

  it('needs no merge hooks when one peer trains alone', async () => {
    const runtime = {
      module_search_roots: [workloadRoot],
      workload_factory: 'plain:create_workload',
    }
    const end = await torchbed(['train', await config({ runtime }), '--out', out(), '--json'])
    assert.equal(end.code, 0, end.stderr + end.stdout)
    const promoted = jsonEvents(end.stdout).filter(({ event }) => event === 'promoted')
    assert.deepEqual(
      promoted.map(({ from }) => from),
      ['genesis', 'best candidate', 'best candidate', 'best candidate'],
    )
    const artifact = JSON.parse(await readFile(join(out(), 'model.safetensors'), 'utf8')) as object
    assert.deepEqual(artifact, { device: 'python-plain', steps: 6 })
  })

  it('resumes from the last promoted head when it is run again', async () => {
    const first = await torchbed(['train', await config(), '--out', out(), '--json'])
    assert.equal(first.code, 0, first.stderr)
    const longer = await config({ training: { windows: 5, evaluation_split: 'Test' } })
    const second = await torchbed(['train', longer, '--out', out(), '--json'])
    assert.equal(second.code, 0, second.stderr + second.stdout)
    const events = jsonEvents(second.stdout)
    assert.equal(events[0]?.resumedFrom, 'experiment-merged-window-3')
    assert.deepEqual(
      events.filter(({ event }) => event === 'promoted').map(({ step }) => step),
      [4, 5],
    )
    assert.equal((events.at(-1) as { windows: number }).windows, 2)
  })

  it('refuses to go on with the store of another experiment', async () => {
    await torchbed(['train', await config(), '--out', out()])
    const other = await config({ training: { experiment_id: 'other' } })
    const end = await torchbed(['train', other, '--out', out()])
    assert.equal(end.code, 2, end.stderr)
    assert.match(end.stderr, /experiment_id.*"experiment".*"other".*another output folder/s)
  })

  it('trains several peers, and comes to the same end after kill -9 at any moment', async function () {
    this.timeout(120_000)
    const training = { windows: 4, peers: 3, evaluation_split: 'Test' }
    const path = await config({ training })
    let kills = 0
    for (;;) {
      const after = 200 + kills * 37
      let timer: NodeJS.Timeout | undefined
      const end = await torchbed(['train', path, '--out', out(), '--json'], {
        onStdout: (stdout, child) => {
          // Early kills come at moments of the training itself: from the first event on.
          if (kills < 12 && timer === undefined && stdout !== '') {
            timer = setTimeout(() => child.kill('SIGKILL'), after % 120)
          }
        },
      })
      clearTimeout(timer)
      if (end.signal === 'SIGKILL') {
        kills++
        continue
      }
      assert.equal(end.code, 0, end.stderr + end.stdout)
      const summary = jsonEvents(end.stdout).at(-1) as { head: string; step: number }
      assert.equal(summary.head, 'experiment-merged-window-4')
      assert.equal(summary.step, 4)
      break
    }
    assert.ok(kills > 0)
    const store = new FsArtifactStore(join(out(), 'store'))
    const canonical = await readCanonicalHead(store)
    assert.ok(canonical !== null)
    assert.ok(await store.hasCompleteArtifact(canonical.artifact_id, { verify: true }))
    assert.deepEqual(
      (await canonicalLineage(store, canonical)).map(({ global_step }) => global_step),
      [0, 1, 2, 3, 4],
    )
  })

  it('with RootEma comes to the same bits after kill -9 at any moment', async function () {
    this.timeout(120_000)
    const training = {
      windows: 6,
      peers: 3,
      canonical_reconcile: { RootEma: { canonical_weight: 0.25 } },
    }
    const runtime = {
      module_search_roots: [workloadRoot],
      workload_factory: 'momentum:create_workload',
    }
    const path = await config({ training, runtime })
    const whole = await torchbed(['train', path, '--out', join(folder, 'whole'), '--json'])
    assert.equal(whole.code, 0, whole.stderr + whole.stdout)
    const artifactOf = async (root: string) =>
      (await readCanonicalHead(new FsArtifactStore(join(root, 'store'))))?.artifact_id

    let kills = 0
    for (let end: Awaited<ReturnType<typeof torchbed>> | undefined; end?.code !== 0;) {
      let timer: NodeJS.Timeout | undefined
      end = await torchbed(['train', path, '--out', out(), '--json'], {
        onStdout: (stdout, child) => {
          if (kills < 8 && timer === undefined && stdout !== '') {
            timer = setTimeout(() => child.kill('SIGKILL'), (kills * 37) % 120)
          }
        },
      })
      clearTimeout(timer)
      assert.doesNotMatch(end.stdout, /local_state_missing/)
      if (end.signal === 'SIGKILL') kills++
      else assert.equal(end.code, 0, end.stderr + end.stdout)
    }
    assert.ok(kills > 0)
    assert.equal(await artifactOf(out()), await artifactOf(join(folder, 'whole')))
    const { localState } = JSON.parse(await readFile(join(out(), 'report.json'), 'utf8')) as {
      localState: { states: number; bytes: number; seconds: number } | null
    }
    assert.ok(localState === null || localState.bytes > 0)
  })

  it('removes the artifact files of processes that were killed, and of no other', async () => {
    const temporary = join(folder, 'tmp')
    const [machine, , time] = processStamp().split('-') as [string, string, string]
    const dead = [`${machine}-4194305-${time}`]
    // The last may run on the other machine, whose process ids are its own.
    const alive = [processStamp(), `0123456789ab-4194305-${time}`]
    const [removed, kept] = [dead, alive].map((stamps) =>
      stamps.map((stamp) => `torchbed-artifact-${stamp}-x`),
    ) as [string[], string[]]
    for (const name of [...removed, ...kept]) {
      await mkdir(join(temporary, name), { recursive: true })
    }
    const args = ['train', await config(), '--out', out()]
    const end = await torchbed(args, { env: { TMPDIR: temporary } })
    assert.equal(end.code, 0, end.stderr)
    assert.deepEqual(readdirSync(temporary).sort(), kept.sort())
  })

  it('leaves no half-written artifact when the disk is full', async function () {
    const disk = join(folder, 'disk')
    const ran = await withSmallDisk(disk, '64k', async () => {
      const runtime = {
        module_search_roots: [workloadRoot],
        workload_factory: 'plain:create_large',
        workload_config: { bytes: 200_000 },
      }
      const end = await torchbed(['train', await config({ runtime }), '--out', disk, '--json'])
      assert.equal(end.code, 1, end.stdout)
      const error = jsonEvents(end.stdout).at(-1) as { code: string; message: string }
      assert.equal(error.code, 'ERR_CHECKPOINT_IO')
      assert.match(error.message, /ENOSPC/)
      assert.equal(existsSync(join(disk, 'model.safetensors')), false)
      const left = readdirSync(disk, { recursive: true }).map(String)
      assert.deepEqual(
        left.filter((name) => name.includes('.tmp') || name.includes('.json')),
        [],
      )
    })
    if (!ran) this.skip()
  })

  describe('Ctrl-C', () => {
    async function interrupted(statement: string, afterWindow: number, signal: NodeJS.Signals) {
      const runtime = {
        module_search_roots: [workloadRoot],
        workload_factory: 'plain:create_interruptible',
        workload_config: { statement, after: afterWindow },
      }
      let sent = 0
      const end = await torchbed(['train', await config({ runtime }), '--out', out(), '--json'], {
        onStdout: (stdout, child) => {
          if (sent !== 0 || !stdout.includes(`"event":"promoted","window":${afterWindow}`)) return
          sent = performance.now()
          setTimeout(() => child.kill(signal), 100)
        },
      })
      return { ...end, ms: performance.now() - sent - 100 }
    }

    it('stops within two seconds, exits with 130 and keeps the last complete artifact', async () => {
      const end = await interrupted('while True: pass', 1, 'SIGINT')
      assert.equal(end.code, 130, end.stderr)
      assert.ok(end.ms < 2000, `${end.ms} ms`)
      const last = jsonEvents(end.stdout).at(-1)
      const artifact = join(out(), 'model.safetensors')
      assert.equal(last?.event, 'interrupted')
      assert.equal(last.window, 1)
      assert.ok(String(last.artifact).endsWith('model.safetensors'))
      assert.ok(existsSync(artifact))
      assert.equal((JSON.parse(readFileSync(artifact, 'utf8')) as { steps: number }).steps, 1)
    })

    it('stops within two seconds inside a long C call too', async () => {
      const end = await interrupted('time.sleep(30)', 2, 'SIGINT')
      assert.equal(end.code, 130, end.stderr)
      assert.ok(end.ms < 2000, `${end.ms} ms`)
      assert.equal(jsonEvents(end.stdout).at(-1)?.window, 2)
    })

    for (const [signal, code] of [
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const) {
      it(`has its own exit code for ${signal}, and says what is kept`, async () => {
        const end = await interrupted('while True: pass', 1, signal)
        assert.equal(end.code, code, end.stderr)
        const last = jsonEvents(end.stdout).at(-1)
        assert.deepEqual([last?.event, last?.signal, last?.window], ['interrupted', signal, 1])
        assert.ok(existsSync(join(out(), 'model.safetensors')))
      })
    }
  })
})
