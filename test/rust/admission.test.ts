/** Certificates between a peer of ours and a real Rust peer, both ways. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { PrivateKey } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import { multiaddr } from '@multiformats/multiaddr'
import { makeFolder } from '../../lib/files/make-folder.js'
import { nonceHash } from '../../lib/p2p/admission/check.js'
import { openIssuer, type Issuer } from '../../lib/p2p/admission/issuer.js'
import { presentCertificate } from '../../lib/p2p/admission/issue.js'
import { signingKey, type SigningKey } from '../../lib/p2p/admission/keys.js'
import { answerRequests } from '../../lib/p2p/control/exchange.js'
import { AdmissionRefusedError } from '../../lib/p2p/errors.js'
import { loadOrCreateIdentity } from '../../lib/p2p/identity.js'
import { controlProtocol } from '../../lib/p2p/names.js'
import { timestampNow } from '../../lib/schema/index.js'
import {
  ControlResponse,
  EMPTY_SNAPSHOT,
  ExperimentScopes,
  PeerAuthEnvelope,
  type ExperimentScope,
  type NodeCertificate,
  type PeerRole,
} from '../../lib/swarm/index.js'
import { NETWORK, startNode, testFolder, until, type TestNode } from '../p2p/nodes.js'
import { headsOf, startPeer } from '../p2p/peers.js'
import { EXPERIMENT, RustPeer, rustDescribe } from './peer.js'

/** What the Rust peer of the tests is built as: test/peers/rust/src/workload.rs. */
const TERMS = {
  network: NETWORK,
  family: 'torchbed-test',
  releaseTrain: 'torchbed-test-train',
}

const issuerOf = async () => openIssuer(await testFolder(), TERMS)

const TRAIN = ['Connect', 'Discover', { Train: { experiment_id: EXPERIMENT } }] as const
const VALIDATE = ['Connect', 'Discover', { Validate: { experiment_id: EXPERIMENT } }] as const

async function newMember(folder: string) {
  await makeFolder(join(folder, 'state'))
  const { raw } = await loadOrCreateIdentity(join(folder, 'state', 'identity.key'))
  return signingKey(raw)
}

type Certify = (issuer: Issuer, peerId: string) => NodeCertificate

const asValidator: Certify = (issuer, peerId) =>
  issuer.certify({ peerId, roles: ['Authority', 'Validator', 'Archive'], scopes: VALIDATE })

function presentation(
  certificate: NodeCertificate,
  key: SigningKey,
  scopes: readonly ExperimentScope[],
): PeerAuthEnvelope {
  const nonce = nonceHash(randomBytes(32))
  const requestedScopes = ExperimentScopes.fromValue([...scopes])
  const of = { certificate, requestedScopes, nonceHash: nonce, presentedAt: timestampNow() }
  return presentCertificate(of, key)
}

/** Its issuers are in a map by their ids. */
function policyOfRust({ policy }: Issuer): object {
  const { trusted_issuers, ...rest } = policy
  const byId = Object.fromEntries(trusted_issuers.map((of) => [of.issuer_peer_id, of]))
  return { ...rest, trusted_issuers: byId }
}

/** A Rust validator that trusts an issuer and shows the certificate that it is given. */
async function startRust(issuer: Issuer, certify: Certify): Promise<RustPeer> {
  const storage = join(await testFolder(), 'storage')
  const key = await newMember(storage)
  const envelope = presentation(certify(issuer, key.peerId), key, VALIDATE)
  const auth = {
    admission_policy: policyOfRust(issuer),
    local_peer_auth: JSON.parse(PeerAuthEnvelope.toJson(envelope)) as object,
    trust_bundle_endpoints: [],
    experiment_directory: [],
  }
  const rust = await RustPeer.start({ mode: 'validator', storage, auth })
  assert.equal(rust.peerId, key.peerId)
  return rust
}

async function startOurs(issuer: Issuer, bootstrap: readonly string[]) {
  const folder = await testFolder()
  const { peerId } = await newMember(folder)
  const roles: readonly PeerRole[] = ['TrainerCpu']
  const certificate = issuer.certify({ peerId, roles, scopes: TRAIN })
  return startPeer({ folder, admission: { policy: issuer.policy, certificate }, bootstrap })
}

rustDescribe('a network with certificates of ours and of Rust peers', function () {
  this.timeout(90_000)

  it('admits both sides', async () => {
    const issuer = await issuerOf()
    const rust = await startRust(issuer, asValidator)
    const genesis = await rust.event('genesis')
    const ours = await startOurs(issuer, rust.addresses)
    await until(() => headsOf(ours).includes(String(genesis.head)))
    assert.equal(ours.training.peers[0]?.peerId, rust.peerId)
    await rust.event('peers', ({ admitted }) => (admitted as string[]).includes(ours.peerId))
    const { artifact } = await ours.training.fetch(String(genesis.artifact), [rust.peerId])
    assert.ok(artifact.bytes_len > 0)
    assert.deepEqual(ours.problems, [])
  })

  const wrong: readonly [string, string, Certify][] = [
    [
      'that another issuer forged',
      'certificate',
      (issuer, peerId) => {
        const certificate = asValidator(issuer, peerId)
        const { body } = certificate
        const forged = '00'.repeat(64)
        const signature = { ...body.signature, signature_hex: forged }
        return { ...certificate, body: { ...body, signature } }
      },
    ],
    [
      'that has expired',
      'expired',
      (issuer, peerId) =>
        issuer.certify({ peerId, roles: ['Validator'], scopes: VALIDATE, days: 1e-9 }),
    ],
  ]
  for (const [what, reason, certify] of wrong) {
    it(`sends a Rust peer away with a certificate ${what}, and takes nothing of it`, async () => {
      const issuer = await issuerOf()
      const rust = await startRust(issuer, certify)
      await rust.event('genesis')
      const ours = await startOurs(issuer, rust.addresses)
      await until(() =>
        ours.problems.some(
          (error) => error instanceof AdmissionRefusedError && error.reason === reason,
        ),
      )
      await until(() => ours.libp2p.getConnections().length === 0)
      assert.deepEqual(headsOf(ours), [])
      assert.deepEqual(ours.training.peers, [])
    })
  }

  it('has a Rust peer refuse a certificate that was forged or has expired', async () => {
    const issuer = await issuerOf()
    const rust = await startRust(issuer, asValidator)
    await rust.event('genesis')
    for (const [, , certify] of wrong) {
      const node = await startNode()
      const key = keyOf(node)
      const certificate = certify(issuer, key.peerId)
      await answerWith(node, snapshotWith(certificate, key))
      for (const address of rust.addresses) await node.dial(multiaddr(address))
      await rust.event('peers', ({ rejected }) => (rejected as string[]).includes(key.peerId))
      await node.stop()
    }
  })
})

/** All that a peer knows that knows nothing but how it presents itself. */
function snapshotWith(certificate: NodeCertificate, key: SigningKey): Uint8Array {
  const envelope = presentation(certificate, key, TRAIN)
  const announcement = { peer_id: key.peerId, envelope, announced_at: timestampNow() }
  return ControlResponse.toWireCbor({
    Snapshot: { ...EMPTY_SNAPSHOT, auth_announcements: [announcement] },
  })
}

interface Inside {
  readonly components: { readonly registrar: Registrar; readonly privateKey: PrivateKey }
}

const insideOf = (node: TestNode) => (node as unknown as Inside).components

const keyOf = (node: TestNode) => signingKey(insideOf(node).privateKey.raw)

async function answerWith(node: TestNode, response: Uint8Array): Promise<void> {
  const answer = () => Promise.resolve(response)
  await answerRequests(insideOf(node).registrar, controlProtocol(NETWORK), answer, () => undefined)
}
