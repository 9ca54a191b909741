/** A network with certificates: who has a valid one takes part as it grants; all others are sent away and get nothing. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { AdmissionOptions } from '../../lib/p2p/admission/admission.js'
import {
  acceptInvite,
  createInvite,
  membershipOf,
  readInvite,
} from '../../lib/p2p/admission/invite.js'
import { openIssuer, type Grant, type Issuer } from '../../lib/p2p/admission/issuer.js'
import { signingKey } from '../../lib/p2p/admission/keys.js'
import { ConfigError } from '../../lib/errors.js'
import { AdmissionRefusedError, type AdmissionReason } from '../../lib/p2p/errors.js'
import { loadOrCreateIdentity } from '../../lib/p2p/identity.js'
import { makeFolder } from '../../lib/files/make-folder.js'
import { chunkingScheme } from '../../lib/store/index.js'
import { SERVE_HEAD } from '../store/support.js'
import { controlOf, NETWORK, startNode, testFolder, until } from '../p2p/nodes.js'
import { EXPERIMENT, headOf, headsOf, startPeer, type TestPeer } from '../p2p/peers.js'

const experiment_id = EXPERIMENT.experiment_id
const TRAINER = {
  roles: ['TrainerCpu'],
  scopes: ['Connect', { Train: { experiment_id } }],
} as const
const VALIDATOR = {
  roles: ['Authority', 'Validator'],
  scopes: ['Connect', { Validate: { experiment_id } }],
} as const

const issuerOf = async () => openIssuer(await testFolder(), { network: NETWORK })

type Member = Omit<Grant, 'peerId'>

/** A folder with a key, and the certificate that an issuer gives it. */
async function member(issuer: Issuer, grant: Member) {
  const folder = await testFolder()
  await makeFolder(join(folder, 'state'))
  const { raw } = await loadOrCreateIdentity(join(folder, 'state', 'identity.key'))
  const { peerId } = signingKey(raw)
  return { folder, peerId, certificate: issuer.certify({ ...grant, peerId }) }
}

async function startMember(
  issuer: Issuer,
  grant: Member,
  bootstrap: readonly string[] = [],
): Promise<TestPeer> {
  const { folder, certificate } = await member(issuer, grant)
  const admission: AdmissionOptions = { policy: issuer.policy, certificate }
  return startPeer({ folder, admission, bootstrap, roles: grant.roles })
}

function refusal(peer: TestPeer, of: string): AdmissionReason | undefined {
  const refused = peer.problems.find(
    (error) => error instanceof AdmissionRefusedError && error.peerId === of,
  )
  return refused instanceof AdmissionRefusedError ? refused.reason : undefined
}

describe('a network with certificates', function () {
  this.timeout(30_000)

  it('lets members take part, each proved over a fresh nonce', async () => {
    const issuer = await issuerOf()
    const validator = await startMember(issuer, VALIDATOR)
    await validator.training.announce(headOf(validator.peerId, 'genesis', 'artifact-1'))
    const trainer = await startMember(issuer, TRAINER, validator.addresses)
    await until(() => headsOf(trainer).includes('genesis'))
    await until(() => validator.training.peers.length === 1)
    await trainer.training.announce(headOf(trainer.peerId, 'trained', 'artifact-2', 1))
    await until(() => headsOf(validator).includes('trained'))
    assert.deepEqual([...validator.problems, ...trainer.problems], [])
  })

  it('sends a peer without a certificate away, and serves it nothing', async () => {
    const issuer = await issuerOf()
    const validator = await startMember(issuer, VALIDATOR)
    await validator.training.announce(headOf(validator.peerId, 'secret', 'artifact-1'))
    const { artifact_id } = await offer(validator)
    const stranger = await startPeer({ bootstrap: validator.addresses })
    await assert.rejects(stranger.training.fetch(artifact_id, [validator.peerId]))
    await until(() => refusal(validator, stranger.peerId) === 'missing')
    await until(() => validator.libp2p.getConnections().length === 0)
    assert.deepEqual(headsOf(stranger), [])
    const conduct = validator.training.conduct.find(({ peerId }) => peerId === stranger.peerId)
    assert.equal(conduct?.ban?.fault, 'not-admitted')
    // It dials again, and again in vain.
    await new Promise((resolve) => setTimeout(resolve, 1500))
    assert.deepEqual(validator.training.peers, [])
    assert.deepEqual(headsOf(stranger), [])
  })

  it('answers a stranger that asks at once with its own certificate, and nothing else', async () => {
    const issuer = await issuerOf()
    const validator = await startMember(issuer, VALIDATOR)
    await validator.training.announce(headOf(validator.peerId, 'secret', 'artifact-1'))
    const node = await startNode()
    await node.dial(validator.libp2p.getMultiaddrs())
    const request = Buffer.from('68536e617073686f74', 'hex')
    const ask = controlOf(node)(validator.peerId, request)
    const response = await ask.catch(() => Buffer.alloc(0))
    assert.ok(!Buffer.from(response).includes('secret'))
  })

  for (const [what, reason, forge] of [
    [
      'of an issuer that is not trusted',
      'issuer',
      (_: Issuer, other: Issuer, peerId: string) => other.certify({ ...TRAINER, peerId }),
    ],
    [
      'that was changed after it was signed',
      'certificate',
      (issuer: Issuer, _: Issuer, peerId: string) => {
        const certificate = issuer.certify({ ...TRAINER, peerId })
        const { body } = certificate
        const payload = {
          ...body.payload.payload,
          granted_roles: { roles: ['Authority' as const] },
        }
        return { ...certificate, body: { ...body, payload: { ...body.payload, payload } } }
      },
    ],
    [
      'of another peer',
      'peer',
      (issuer: Issuer, other: Issuer) =>
        issuer.certify({ ...TRAINER, peerId: other.policy.trusted_issuers[0]!.issuer_peer_id }),
    ],
  ] as const) {
    it(`sends a peer away with a certificate ${what}`, async () => {
      const issuer = await issuerOf()
      const validator = await startMember(issuer, VALIDATOR)
      const { folder, peerId, certificate } = await member(issuer, TRAINER)
      const admission = { policy: issuer.policy, certificate }
      const impostor = await startPeer({ folder, admission })
      admission.certificate = forge(issuer, await issuerOf(), peerId)
      await impostor.libp2p.dial(validator.libp2p.getMultiaddrs()).catch(() => undefined)
      await until(() => refusal(validator, peerId) === reason)
      await until(() => validator.libp2p.getConnections().length === 0)
    })
  }

  it('sends a member away once its certificate has expired', async () => {
    const issuer = await issuerOf()
    const validator = await startMember(issuer, VALIDATOR)
    const soon = 3000 / 86_400_000
    const trainer = await startMember(issuer, { ...TRAINER, days: soon }, validator.addresses)
    await until(() => validator.training.peers.length === 1)
    await until(() => refusal(validator, trainer.peerId) === 'expired')
    await until(() => validator.training.peers.length === 0)
  })

  it('sends a member away that the issuer revokes, wherever that is announced', async () => {
    const issuer = await issuerOf()
    const hub = await startMember(issuer, VALIDATOR)
    const bad = await startMember(issuer, TRAINER, hub.addresses)
    const good = await startMember(issuer, TRAINER, hub.addresses)
    await until(() => hub.training.peers.length === 2)
    const forged = (await issuerOf()).revoke(good.peerId, 'by an enemy')
    await bad.training.announce(forged)
    await good.training.announce(issuer.revoke(bad.peerId, 'sent noise'))
    await until(() => refusal(hub, bad.peerId) === 'revoked')
    await until(() => hub.training.peers.length === 1)
    assert.equal(hub.training.peers[0]?.peerId, good.peerId)
    assert.equal(hub.training.refusedRecords.unauthorised ?? 0, 1)
  })

  it('takes from a member only what its roles and scopes let it say', async () => {
    const issuer = await issuerOf()
    const validator = await startMember(issuer, VALIDATOR)
    const viewer = await startMember(issuer, { roles: ['Viewer'] }, validator.addresses)
    await until(() => validator.training.peers.length === 1)
    await viewer.training.announce(headOf(viewer.peerId, 'not mine to announce', 'artifact-1'))
    await until(() => (validator.training.refusedRecords.unauthorised ?? 0) > 0)
    assert.deepEqual(headsOf(validator), [])
    const [problem] = validator.problems
    assert.match(problem!.message, /a Head of 12D3\w+ needs the scope Train or Validate or Archive/)
  })

  it('refuses to start with a certificate that others would refuse', async () => {
    const issuer = await issuerOf()
    const { folder, certificate } = await member(await issuerOf(), TRAINER)
    await assert.rejects(
      startPeer({ folder, admission: { policy: issuer.policy, certificate } }),
      (error: ConfigError) => {
        assert.ok(error instanceof ConfigError)
        assert.match(error.message, /is not trusted; ask the issuer of the network for an invite/)
        return true
      },
    )
  })
})

describe('an invite', function () {
  this.timeout(30_000)

  it('is one line that makes a folder a member', async () => {
    const issuer = await issuerOf()
    const validator = await startMember(issuer, VALIDATOR)
    const line = createInvite(issuer, TRAINER, validator.addresses)
    assert.match(line, /^torchbed-invite:[\w-]+$/)
    const folder = await testFolder()
    await acceptInvite(folder, readInvite(`  ${line}\n`))
    await acceptInvite(folder, readInvite(line))
    const { admission, join: bootstrap } = (await membershipOf(folder))!
    const trainer = await startPeer({ folder, admission, bootstrap })
    await until(() => validator.training.peers.length === 1)
    assert.equal(validator.training.peers[0]?.peerId, trainer.peerId)
  })

  it('for a peer that is known has no key in it, and is of no use to another', async () => {
    const issuer = await issuerOf()
    const { folder, peerId } = await member(issuer, TRAINER)
    const invite = readInvite(createInvite(issuer, { ...TRAINER, peerId }, []))
    assert.equal(invite.key_seed_hex, null)
    await acceptInvite(folder, invite)
    await assert.rejects(acceptInvite(await testFolder(), invite), /choose another folder/)
  })

  it('that is cut short, or none, is refused with what to do', async () => {
    const line = createInvite(await issuerOf(), TRAINER, [])
    for (const wrong of ['', 'torchbed-invite:', line.slice(0, -9), `${line}=`, line.slice(9)]) {
      assert.throws(() => readInvite(wrong), ConfigError)
    }
  })

  it('comes of one issuer a folder, which stays the same', async () => {
    const folder = await testFolder()
    const first = await openIssuer(folder, { network: NETWORK })
    const again = await openIssuer(folder)
    assert.deepEqual(again.policy, first.policy)
    await assert.rejects(openIssuer(folder, { network: 'other' }), ConfigError)
    await assert.rejects(openIssuer(await testFolder()), /torchbed keys makes one/)
    assert.throws(() => first.certify({ ...TRAINER, peerId: 'peer-1' }), ConfigError)
    assert.throws(() => first.certify({ ...TRAINER, peerId: 'peer-1', days: 0 }), ConfigError)
  })
})

async function offer(peer: TestPeer) {
  const bytes = Buffer.from('for members only')
  const artifact = await peer.training.store.storeArtifactBytes(SERVE_HEAD, bytes, chunkingScheme())
  peer.training.provide(artifact)
  return artifact
}
