/** `torchbed node`, as processes on loopback. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNode } from '../../../lib/p2p/index.js'
import { timestampNow } from '../../../lib/schema/index.js'
import { chunkingScheme } from '../../../lib/store/index.js'
import { experimentOverlay, mergeCertId } from '../../../lib/swarm/index.js'
import { jsonEvents, torchbed, type CommandEnd } from '../../support/cli.js'
import { SERVE_HEAD } from '../../store/support.js'

const NETWORK = 'net-cli'
const SCOPE = { study_id: 'study', experiment_id: 'exp' }

/** A node that runs, and the events that it has told. */
class RunningNode {
  readonly #end: Promise<CommandEnd>
  #child: ChildProcess | undefined
  #stdout = ''

  constructor(args: string[]) {
    this.#end = torchbed(['node', '--network', NETWORK, '--json', ...args], {
      onStdout: (stdout, child) => {
        this.#stdout = stdout
        this.#child = child
      },
    })
  }

  async event(name: string): Promise<Record<string, unknown>> {
    for (;;) {
      const whole = this.#stdout.slice(0, this.#stdout.lastIndexOf('\n') + 1)
      const found = jsonEvents(whole).find(({ event }) => event === name)
      if (found !== undefined) return found
      const step = new Promise((resolve) => setTimeout(resolve, 20, undefined))
      const ended = await Promise.race([this.#end, step])
      if (ended !== undefined) assert.fail(JSON.stringify(ended))
    }
  }

  async address(): Promise<string> {
    const { addresses } = await this.event('listening')
    return (addresses as string[])[0]!
  }

  async stop(signal: NodeJS.Signals): Promise<CommandEnd> {
    this.#child?.kill(signal)
    return this.#end
  }
}

describe('torchbed node', function () {
  this.timeout(120_000)
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-node-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  const run = (name: string, ...args: string[]) =>
    new RunningNode(['--folder', join(folder, name), ...args])

  it('meets others, tells what they promote, and keeps it as an archive, over kill -9 too', async () => {
    const experiment = ['--experiment', 'study/exp']
    const bootstrap = run('bootstrap', '--role', 'bootstrap', ...experiment)
    const address = await bootstrap.address()
    const archive = run('archive', '--role', 'archive', '--join', address, ...experiment)
    await archive.event('peer')
    const maker = await createNode({
      folder: join(folder, 'maker'),
      ...{ network: NETWORK, experiments: [SCOPE], roles: ['Validator'], bootstrap: [address] },
    })
    try {
      const { store, peerId } = maker.training
      const artifact = await store.storeArtifactBytes(
        SERVE_HEAD,
        randomBytes(100_000),
        chunkingScheme(30_000),
      )
      maker.training.provide(artifact)
      const overlay = experimentOverlay({ network_id: NETWORK, ...SCOPE }, 'Heads')
      const now = timestampNow()
      const ids = { ...SCOPE, revision_id: 'rev' }
      const head = {
        ...{ head_id: 'head-1', ...ids, artifact_id: artifact.artifact_id },
        ...{ parent_head_id: 'base', global_step: 3, created_at: now, metrics: { loss: 0.25 } },
      }
      await maker.training.announce({
        Head: { overlay, provider_peer_id: peerId, head, announced_at: now },
      })
      const of = { ...ids, base_head_id: 'base', merged_head_id: 'head-1' }
      const certificate = {
        ...{ ...of, merge_cert_id: mergeCertId({ ...of, promoter_peer_id: peerId }) },
        ...{ merged_artifact_id: artifact.artifact_id, policy: 'WeightedMean' as const },
        ...{ issued_at: now, promoter_peer_id: peerId, contribution_receipts: [] },
        promotion_mode: 'ValidatorQuorum' as const,
      }
      await maker.training.announce({ Merge: { overlay, certificate, announced_at: now } })
      const { head: told, step, metrics } = await archive.event('head')
      assert.deepEqual([told, step, metrics], ['head-1', 3, { loss: 0.25 }])
      const promoted = await bootstrap.event('promoted')
      assert.deepEqual([promoted.head, promoted.by], ['head-1', peerId])
      const kept = await archive.event('kept')
      assert.deepEqual([kept.head, kept.fetchedBytes], ['head-1', 100_000])
    } finally {
      await maker.stop()
    }
    await bootstrap.event('left')
    const { signal, stdout: before } = await archive.stop('SIGKILL')
    assert.equal(signal, 'SIGKILL')
    const again = run('archive', '--role', 'archive', '--join', address)
    const { fetchedBytes } = await again.event('kept')
    assert.equal(fetchedBytes, 0)
    const first = jsonEvents(before).find(({ event }) => event === 'listening')
    assert.equal((await again.event('listening')).peerId, first?.peerId)
    const { code, stdout, stderr } = await again.stop('SIGTERM')
    assert.deepEqual([code, stderr], [143, ''])
    assert.deepEqual(jsonEvents(stdout).at(-1), { event: 'interrupted', signal: 'SIGTERM' })
    assert.equal((await bootstrap.stop('SIGINT')).code, 130)
  })

  it('shows people what to paste elsewhere', async () => {
    const { code, stdout, stderr } = await torchbed(['node', '--network', NETWORK], {
      cwd: folder,
      onStdout: (stdout, child) => {
        if (!stdout.includes('Stopped')) child.kill('SIGINT')
      },
    })
    assert.deepEqual([code, stderr], [130, ''])
    const id = '12D3KooW\\w{44}'
    assert.match(stdout, new RegExp(`^viewer ${id} of network ${NETWORK}\nOthers join with\n`))
    assert.match(
      stdout,
      new RegExp(`  torchbed node --network ${NETWORK} --join /ip4/127.0.0.1/tcp/\\d+/p2p/${id}\n`),
    )
  })

  it('joins a network with certificates by an invite, and shows whom it sent away', async () => {
    const issuer = join(folder, 'issuer')
    assert.equal((await torchbed(['keys', '--network', NETWORK, '--folder', issuer])).code, 0)
    const inviteTo = async (...args: string[]) => {
      const { stdout } = await torchbed(['node', 'invite', '--issuer', issuer, ...args])
      assert.match(stdout, /^torchbed-invite:\S+\n$/)
      return stdout.trim()
    }
    const hub = join(folder, 'hub')
    const invite = await inviteTo('--role', 'bootstrap')
    const first = new RunningNode(['--role', 'bootstrap', '--folder', hub, '--join', invite])
    const address = await first.address()
    const scope = ['--experiment', `${SCOPE.study_id}/${SCOPE.experiment_id}`]
    const second = await inviteTo('--role', 'archive', ...scope, '--join', address)
    const member = new RunningNode([
      ...['--role', 'archive', '--folder', join(folder, 'member'), '--join', second],
    ])
    const { peerId: invited } = await member.event('listening')
    await first.event('peer')
    const stranger = new RunningNode(['--folder', join(folder, 'stranger'), '--join', address])
    const { peerId: uninvited } = await stranger.event('listening')
    const { code } = await first.event('problem')
    assert.equal(code, 'ERR_P2P_ADMISSION_REFUSED')
    await new Promise((resolve) => setTimeout(resolve, 1500))
    const shown = await torchbed(['node', 'peers', '--folder', hub, '--json'])
    const { running, peers, conduct } = JSON.parse(shown.stdout) as {
      running: boolean
      peers: { peerId: string }[]
      conduct: { peerId: string; ban: { fault: string } }[]
    }
    assert.deepEqual(
      { running, peers: peers.map((of) => of.peerId) },
      { running: true, peers: [invited] },
    )
    assert.equal(conduct[0]?.peerId, uninvited)
    assert.equal(conduct[0]?.ban.fault, 'not-admitted')
    const text = await torchbed(['node', 'status', '--folder', hub])
    assert.match(text.stdout, /running\n1 peers, 1 kept away/)
    for (const node of [first, member, stranger]) await node.stop('SIGTERM')
    const after = await torchbed(['node', 'status', '--folder', hub])
    assert.match(after.stdout, /, stopped\n/)
    const none = await torchbed(['node', 'status', '--folder', folder])
    assert.deepEqual([none.code, none.stdout], [2, ''])
  })

  it('refuses addresses, experiments and networks that are none, with exit code 2', async () => {
    const refused = async (args: string[], message: RegExp) => {
      const { code, stdout, stderr } = await torchbed(['node', ...args], { cwd: folder })
      assert.equal(code, 2, stderr)
      assert.equal(stdout, '')
      assert.match(stderr, message)
    }
    await refused(['--network', 'n', '--join', 'localhost'], /"localhost" is no multiaddress/)
    await refused(['--network', 'n', '--experiment', 'a'], /"a" is not study\/experiment/)
    await refused(['--network', 'a/b'], /a network id is a text without a slash/)
    await refused(
      ['--network', 'n', '--folder', '/dev/null/x'],
      /choose another folder with --folder/,
    )
    await refused([], /--network: a viewer has no config that names it/)
    await refused(['none.json', '--role', 'peer'], /Cannot read .*none\.json/)
    await refused(['--network', 'n', '--windows', '0'], /expected an integer of at least 1/)
    await refused(['--network', 'n', '--role', 'king'], /Allowed choices are viewer, archive/)
  })
})
