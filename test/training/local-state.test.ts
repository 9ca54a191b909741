/** What a peer has for itself survives a kill: with `RootEma`, a resumed run has the bits of one that was never cut. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { appendFile, cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ArtifactId } from '../../lib/schema/index.js'
import type { TrainingEvent } from '../../lib/training/events.js'
import { localTraining } from '../../lib/training/local-training.js'
import { openStore, Run } from './support.js'

const PEERS = ['peer-1', 'peer-2']
const WINDOWS = 4
const rootEma = { canonical_reconcile: { RootEma: { canonical_weight: 0.25 } } } as const

describe("a peer's own training state", () => {
  let run: Run
  let ids: ArtifactId[]
  let copies = 0
  /** The folder of store and peers: after each promotion, and before it with all contributions published. */
  const cuts: { readonly folder: string; readonly step: number }[] = []

  before(async () => {
    run = await Run.make({
      peers: PEERS,
      experiment: rootEma,
      factory: 'momentum:create_workload',
    })
    ids = []
    let step = 0
    let contributions = 0
    for await (const event of run.begin(WINDOWS)) {
      if (event.event === 'promoted') {
        ids.push(event.promotion.artifact.artifact_id)
        step = event.window
      }
      // After the first contribution of a window the other peers still write.
      if (event.event === 'window' && ++contributions % PEERS.length > 0) continue
      const folder = join(run.folder, `cut-${cuts.length}`)
      cuts.push({ folder, step })
      await copy(run.folder, folder)
    }
  })
  after(() => run[Symbol.asyncDispose]())

  async function copy(from: string, to: string): Promise<void> {
    for (const name of ['store', 'peers']) {
      if (!existsSync(join(from, name))) continue
      await cp(join(from, name), join(to, name), { recursive: true })
    }
  }

  async function resume(folder: string, keepLocalState = true) {
    const { project, experiment } = run
    const store = openStore(join(folder, 'store'))
    const peersFolder = join(folder, 'peers')
    const parts = { project, experiment, store, peers: PEERS, peersFolder, keepLocalState }
    const events: TrainingEvent[] = []
    for await (const event of localTraining(parts, WINDOWS)) events.push(event)
    assert.equal(await run.models(), 0n)
    return {
      ids: events.flatMap((it) =>
        it.event === 'promoted' ? [it.promotion.artifact.artifact_id] : [],
      ),
      missing: events.flatMap((it) => (it.event === 'local_state_missing' ? [it] : [])),
    }
  }

  async function cutAfter(step: number): Promise<string> {
    const cut = cuts.find((it) => it.step === step)
    assert.ok(cut)
    const folder = join(run.folder, `copy-${++copies}`)
    await copy(cut.folder, folder)
    return folder
  }

  const state = (folder: string, peer: string, name: string) =>
    join(folder, 'peers', peer, 'state', name)

  it('gives a run that is cut before or after any promotion the artifacts of one that is not', async () => {
    assert.equal(cuts.length, 1 + 2 * WINDOWS)
    for (const cut of cuts) {
      const { step } = cut
      const folder = join(run.folder, `copy-${++copies}`)
      await copy(cut.folder, folder)
      const resumed = await resume(folder)
      assert.deepEqual(resumed, { ids: ids.slice(step + 1), missing: [] })
    }
  })

  it('makes a difference: without it, the run goes another way and says for whom and why', async () => {
    const folder = await cutAfter(2)
    await rm(join(folder, 'peers', 'peer-2', 'state'), { recursive: true })
    const { ids: others, missing } = await resume(folder)
    assert.deepEqual(missing, [
      {
        event: 'local_state_missing',
        window: 2,
        peer: 'peer-2',
        reason: 'not kept',
        message: 'no state was kept of window 2',
      },
    ])
    assert.equal(others.length, 2)
    assert.notEqual(others.at(-1), ids.at(-1))
  })

  it('is two windows at most, complete or absent, and costs what the contribution says', async () => {
    const names = await readdir(join(run.peersFolder, 'peer-1', 'state'))
    assert.deepEqual(names.sort(), [
      'window-3.json',
      'window-3.state',
      'window-4.json',
      'window-4.state',
    ])
    const folder = await cutAfter(3)
    const { project, experiment } = run
    const store = openStore(join(folder, 'store'))
    const peersFolder = join(folder, 'peers')
    const parts = { project, experiment, store, peers: PEERS, peersFolder }
    for await (const event of localTraining(parts, WINDOWS)) {
      if (event.event !== 'window') continue
      const { peer_id, local_state } = event.contribution
      assert.ok(local_state)
      const { length } = await readFile(state(folder, peer_id, 'window-4.state'))
      assert.equal(local_state.bytes, length)
      assert.ok(local_state.seconds > 0)
    }
  })

  it('is not taken up when it was torn, is of another base, or its hook refuses it', async () => {
    const damages: [reason: string, damage: (folder: string) => Promise<void>][] = [
      ['damaged', (folder) => appendFile(state(folder, 'peer-1', 'window-2.state'), 'x')],
      ['damaged', (folder) => rm(state(folder, 'peer-1', 'window-2.state'))],
      ['damaged', (folder) => writeFile(state(folder, 'peer-1', 'window-2.json'), '{"head')],
      [
        'of another base',
        async (folder) => {
          const path = state(folder, 'peer-1', 'window-2.json')
          const text = await readFile(path, 'utf8')
          await writeFile(path, text.replace('merged-window-1', 'merged-window-0'))
        },
      ],
      [
        'of another base',
        (folder) =>
          cp(state(folder, 'peer-2', 'window-2.json'), state(folder, 'peer-1', 'window-2.json')),
      ],
      [
        'not loaded',
        async (folder) => {
          const path = state(folder, 'peer-1', 'window-2.state')
          const { length } = await readFile(path)
          await writeFile(path, '#'.repeat(length))
        },
      ],
    ]
    for (const [reason, damage] of damages) {
      const folder = await cutAfter(2)
      await damage(folder)
      const { ids: others, missing } = await resume(folder)
      assert.deepEqual(
        missing.map(({ peer, reason }) => [peer, reason]),
        [['peer-1', reason]],
      )
      assert.equal(others.length, 2)
    }
  })

  it('sweeps what a kill left half-written', async () => {
    const folder = await cutAfter(3)
    const torn = state(folder, 'peer-1', 'window-4.state.tmp')
    await writeFile(torn, 'half')
    assert.deepEqual(await resume(folder), { ids: ids.slice(4), missing: [] })
    assert.equal(existsSync(torn), false)
  })

  it('is neither kept nor missed when keepLocalState is false', async () => {
    const folder = await cutAfter(0)
    const { missing } = await resume(folder, false)
    assert.deepEqual(missing, [])
    assert.equal(existsSync(join(folder, 'peers', 'peer-1', 'state')), false)
  })

  it('is not kept under Replace, which needs none', async () => {
    await using other = await Run.make({ factory: 'momentum:create_workload' })
    const log = await other.train(2)
    for (const { local_state } of log.contributions()) assert.equal(local_state, null)
    assert.equal(existsSync(join(other.peersFolder, 'peer-1', 'state')), false)
    const resumed = await other.train(3)
    assert.deepEqual(
      resumed.events.map(({ event }) => event),
      ['resumed', 'window', 'window', 'promoted'],
    )
  })

  it('of a workload without the hooks is missing when it is resumed', async () => {
    await using other = await Run.make({
      factory: 'momentum:create_without_hooks',
      experiment: rootEma,
    })
    const log = await other.train(2)
    for (const { local_state } of log.contributions()) assert.equal(local_state, null)
    const resumed = await other.train(3)
    assert.deepEqual(
      resumed.events.flatMap((it) =>
        it.event === 'local_state_missing' ? [[it.peer, it.reason]] : [],
      ),
      [
        ['peer-1', 'not kept'],
        ['peer-2', 'not kept'],
      ],
    )
  })
})
