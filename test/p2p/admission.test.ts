/** Certificates: those of the reference are verified, and whatever is wrong with one refuses the peer. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'

import fc from 'fast-check'

import { contentIdOf, text, type Timestamp } from '../../lib/schema/index.js'
import {
  DiLoCoStateSnapshot,
  ControlResponse,
  FleetPlacementSnapshot,
  NodeCertificateEnvelope,
  PeerAuthEnvelope,
  PubsubEnvelope,
  type AdmissionPolicy,
  type NodeCertificateClaims,
} from '../../lib/schema/records/network/index.js'
import { checkAdmission, nonceHash } from '../../lib/p2p/admission/check.js'
import { issueCertificate, presentCertificate } from '../../lib/p2p/admission/issue.js'
import {
  isSignedBy,
  keyOfPeerId,
  peerIdOfKey,
  publicKeyFromHex,
  publicKeyHex,
  signingKey,
} from '../../lib/p2p/admission/keys.js'
import { isRecordSignedBy, payloadProblem, signRecord } from '../../lib/p2p/admission/signatures.js'
import { AdmissionRefusedError, type AdmissionReason } from '../../lib/p2p/errors.js'
import { hostileCbor } from '../fuzz/hostile-cbor.js'
import { holds, outcome } from '../fuzz/holds.js'
import { recordedMessages } from '../recorded/messages.js'
import { vectorFile, vectors } from '../recorded/vectors.js'
import { runs } from '../support/runs.js'

const hex = (value: Uint8Array) => Buffer.from(value).toString('hex')
const seed = (name: string) => createHash('sha256').update(name).digest()
const issuer = signingKey(seed('issuer'))
const other = signingKey(seed('other'))
const peer = signingKey(seed('peer'))
const now: Timestamp = '2026-06-01T00:00:00Z'

const claims: NodeCertificateClaims = {
  network_id: 'net-1',
  project_family_id: 'family',
  release_train_hash: 'train',
  target_artifact_hash: 'target',
  peer_id: peer.peerId,
  peer_public_key_hex: publicKeyHex(peer.publicKey),
  principal_id: 'alice',
  provider: { Static: { authority: 'home' } },
  granted_roles: { roles: ['TrainerCpu'] },
  experiment_scopes: ['Connect', { Train: { experiment_id: 'exp-1' } }],
  client_policy_hash: null,
  auth_policy_snapshot: null,
  not_before: '2026-01-01T00:00:00Z',
  not_after: '2026-12-31T00:00:00Z',
  serial: 7,
  revocation_epoch: 3,
}
const policy: AdmissionPolicy = {
  network_id: 'net-1',
  project_family_id: 'family',
  required_release_train_hash: 'train',
  allowed_target_artifact_hashes: ['target'],
  trusted_issuers: [
    { issuer_peer_id: issuer.peerId, issuer_public_key_hex: publicKeyHex(issuer.publicKey) },
  ],
  minimum_revocation_epoch: 3,
}
const certificate = issueCertificate(claims, issuer, now)
const nonce = Buffer.from('a fresh nonce')
const present = (of = certificate, key = peer, scopes = claims.experiment_scopes) =>
  presentCertificate(
    { certificate: of, requestedScopes: scopes, nonceHash: nonceHash(nonce), presentedAt: now },
    key,
  )
const checks = { policy, transportPeer: peer.peerId, now, nonce }

function refuses(
  reason: AdmissionReason,
  envelope: PeerAuthEnvelope,
  changed: Partial<Parameters<typeof checkAdmission>[1]> = {},
): void {
  assert.throws(
    () => checkAdmission(envelope, { ...checks, ...changed }),
    (error) => {
      assert.ok(error instanceof AdmissionRefusedError, String(error))
      assert.equal(error.code, 'ERR_P2P_ADMISSION_REFUSED')
      assert.equal(error.reason, reason, error.message)
      return true
    },
  )
}

const withPolicy = (change: Partial<AdmissionPolicy>) => ({ policy: { ...policy, ...change } })
const withClaims = (change: Partial<NodeCertificateClaims>) =>
  present(issueCertificate({ ...claims, ...change }, issuer, now))

describe('keys of peers', () => {
  it('are in their ids', () => {
    assert.match(peer.peerId, /^12D3KooW/)
    assert.deepEqual(keyOfPeerId(peer.peerId), peer.publicKey)
    assert.equal(peerIdOfKey(peer.publicKey), peer.peerId)
    assert.deepEqual(publicKeyFromHex(publicKeyHex(peer.publicKey)), peer.publicKey)
  })

  it('are those of the reference', () => {
    const fields = {
      envelope_cbor_hash_form: text,
      envelope_json: text,
      issuer_peer_id: text,
      issuer_public_key_hex: text,
    }
    for (const vector of vectors(vectorFile('admission'), fields)) {
      const key = publicKeyFromHex(vector.issuer_public_key_hex)
      assert.equal(peerIdOfKey(key!), vector.issuer_peer_id)
    }
  })

  it('are not in anything else', () => {
    const id = peer.peerId
    for (const wrong of ['', 'peer-1', id.slice(1), `${id}1`, `${id.slice(0, -1)}0`]) {
      assert.equal(keyOfPeerId(wrong), undefined)
    }
    // The same number of digits, beyond what 38 bytes hold.
    assert.equal(keyOfPeerId(`12D3KooW${'z'.repeat(44)}`), undefined)
    for (const wrong of [
      '',
      '08011220',
      `08011221${'00'.repeat(32)}`,
      `08011220${'zz'.repeat(32)}`,
    ]) {
      assert.equal(publicKeyFromHex(wrong), undefined)
    }
    assert.throws(() => signingKey(new Uint8Array(31)), RangeError)
  })

  it('sign as any Ed25519 does, and take no signature of another form', () => {
    // RFC 8032, test 2.
    const key = signingKey(
      Buffer.from('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb', 'hex'),
    )
    assert.equal(
      hex(key.publicKey),
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    )
    const message = Uint8Array.of(0x72)
    const signature =
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
      '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00'
    assert.equal(key.sign(message), signature)
    assert.ok(isSignedBy(key.publicKey, message, signature))
    assert.ok(!isSignedBy(key.publicKey, Uint8Array.of(0x73), signature))
    for (const wrong of ['', signature.slice(2), `${signature}00`, 'zz'.repeat(64)]) {
      assert.ok(!isSignedBy(key.publicKey, message, wrong))
    }
  })
})

describe('certificates of the reference', () => {
  const fields = {
    envelope_cbor_hash_form: text,
    envelope_json: text,
    issuer_peer_id: text,
    issuer_public_key_hex: text,
  }
  const all = vectors(vectorFile('admission'), fields).map((vector) => ({
    ...vector,
    envelope: PeerAuthEnvelope.fromJson(vector.envelope_json, { unknownFields: 'refuse' }),
  }))
  const checksOf = ({ envelope, ...vector }: (typeof all)[number]) => {
    const { payload } = envelope.certificate.body.payload
    return {
      transportPeer: envelope.peer_id,
      now: payload.not_before,
      policy: {
        network_id: payload.network_id,
        project_family_id: payload.project_family_id,
        required_release_train_hash: payload.release_train_hash,
        allowed_target_artifact_hashes: [],
        trusted_issuers: [
          {
            issuer_peer_id: vector.issuer_peer_id,
            issuer_public_key_hex: vector.issuer_public_key_hex,
          },
        ],
        minimum_revocation_epoch: payload.revocation_epoch,
      },
    }
  }

  it('are read and written back to the same text and the same hashed bytes', () => {
    assert.equal(all.length, 12)
    for (const { envelope, envelope_json, envelope_cbor_hash_form } of all) {
      assert.equal(PeerAuthEnvelope.toJson(envelope), envelope_json)
      assert.equal(hex(PeerAuthEnvelope.toCbor(envelope)), envelope_cbor_hash_form)
      assert.deepEqual(
        PeerAuthEnvelope.fromWireCbor(PeerAuthEnvelope.toWireCbor(envelope)),
        envelope,
      )
    }
  })

  it('are named after their content, signed by their issuer, and admitted', () => {
    for (const vector of all) {
      const { certificate: of } = vector.envelope
      assert.equal(contentIdOf(NodeCertificateEnvelope, of.body.payload), of.node_cert_id)
      assert.equal(
        checkAdmission(vector.envelope, checksOf(vector)),
        vector.envelope.certificate.body.payload.payload,
      )
    }
  })

  it('are refused once any field that is signed has another value', () => {
    const [vector] = all
    const { envelope } = vector!
    const { body } = envelope.certificate
    const forged = (payload: NodeCertificateClaims): PeerAuthEnvelope => ({
      ...envelope,
      certificate: {
        ...envelope.certificate,
        body: { ...body, payload: { ...body.payload, payload } },
      },
    })
    const signed = body.payload.payload
    const changed: Partial<NodeCertificateClaims>[] = [
      { principal_id: 'mallory' },
      { granted_roles: { roles: ['Authority'] } },
      { experiment_scopes: [...signed.experiment_scopes, { Admin: { study_id: 's' } }] },
      { serial: signed.serial + 1 },
      { auth_policy_snapshot: null },
      { not_after: '2099-01-01T00:00:00Z' },
    ]
    for (const change of changed) {
      refuses('certificate', forged({ ...signed, ...change }), {
        ...checksOf(vector!),
        nonce: undefined,
      })
    }
  })
})

describe('a peer with a certificate', () => {
  it('is admitted with its claims', () => {
    assert.deepEqual(checkAdmission(present(), checks), claims)
    const wire = PeerAuthEnvelope.toWireCbor(present())
    assert.deepEqual(checkAdmission(PeerAuthEnvelope.fromWireCbor(wire), checks), claims)
  })

  it('is refused as another peer', () => {
    refuses('peer', present(), { transportPeer: other.peerId })
    refuses('peer', withClaims({ peer_id: other.peerId }))
  })

  it('is refused in another network, family, release train or target', () => {
    refuses('network', present(), withPolicy({ network_id: 'net-2' }))
    refuses('family', present(), withPolicy({ project_family_id: 'x' }))
    refuses('release-train', present(), withPolicy({ required_release_train_hash: 'x' }))
    refuses('target', present(), withPolicy({ allowed_target_artifact_hashes: ['x'] }))
    assert.ok(
      checkAdmission(present(), {
        ...checks,
        ...withPolicy({ allowed_target_artifact_hashes: [] }),
      }),
    )
  })

  it('is refused before and after its time, to the nanosecond', () => {
    refuses('not-yet-valid', present(), { now: '2025-12-31T23:59:59.999999999Z' })
    refuses('expired', present(), { now: '2026-12-31T00:00:00.000000001Z' })
    assert.ok(checkAdmission(present(), { ...checks, now: claims.not_before }))
    assert.ok(checkAdmission(present(), { ...checks, now: claims.not_after }))
  })

  it('is refused once its epoch is revoked', () => {
    refuses('revoked', present(), withPolicy({ minimum_revocation_epoch: 4 }))
  })

  it('is refused when its issuer is not trusted, or only says that it is', () => {
    refuses('issuer', present(), withPolicy({ trusted_issuers: [] }))
    refuses('issuer', present(issueCertificate(claims, other, now)))
    const { body } = issueCertificate(claims, other, now)
    const signature = { ...body.signature, signer: issuer.peerId }
    refuses('certificate', present({ node_cert_id: body.payload_id, body: { ...body, signature } }))
    const noKey = [{ issuer_peer_id: issuer.peerId, issuer_public_key_hex: 'zz' }]
    refuses('issuer', present(), withPolicy({ trusted_issuers: noKey }))
  })

  it('is refused when the certificate does not have the id, schema or algorithm that it says', () => {
    const { body } = certificate
    refuses('certificate', present({ ...certificate, node_cert_id: 'x' }))
    refuses('certificate', present({ ...certificate, body: { ...body, payload_id: 'x' } }))
    refuses(
      'schema',
      present({ ...certificate, body: { ...body, payload: { ...body.payload, schema: 'x' } } }),
    )
    refuses(
      'schema',
      present({
        ...certificate,
        body: { ...body, payload: { ...body.payload, schema_version: 2 } },
      }),
    )
    const unknown = { ...body.signature, algorithm: { Unknown: 'none' } }
    refuses('certificate', present({ ...certificate, body: { ...body, signature: unknown } }))
  })

  it('is refused for scopes that are not granted, of whatever kind', () => {
    for (const scope of [
      'Discover' as const,
      { Train: { experiment_id: 'exp-2' } },
      { Validate: { experiment_id: 'exp-1' } },
      { Admin: { study_id: 'study-1' } },
    ]) {
      refuses('scope', present(certificate, peer, [scope]))
    }
    assert.ok(checkAdmission(present(certificate, peer, []), checks))
  })

  it('is refused with the key of another peer in its certificate', () => {
    refuses('key', withClaims({ peer_public_key_hex: publicKeyHex(other.publicKey) }))
    refuses('key', withClaims({ peer_public_key_hex: 'zz' }))
  })

  it('is refused without the proof that it holds the key', () => {
    const stolen = { ...present(certificate, other), peer_id: peer.peerId }
    refuses('proof', stolen)
    refuses('proof', { ...present(), challenge_signature_hex: '' })
    refuses('proof', { ...present(), requested_scopes: [] })
    refuses('proof', { ...present(), client_manifest_id: 'x' })
  })

  it('is refused with an old proof where a fresh one was asked for', () => {
    refuses('nonce', present(), { nonce: Buffer.from('another nonce') })
    assert.ok(checkAdmission(present(), { ...checks, nonce: undefined }))
  })
})

describe('a hostile presentation', () => {
  it('is refused with its reason, or says what the issuer signed', async function () {
    this.timeout(600_000)
    const valid = PeerAuthEnvelope.toWireCbor(present())
    let admitted = 0
    const cases = runs(500)
    await holds(cases, hostileCbor([valid]), (bytes) => {
      const read = outcome(() => PeerAuthEnvelope.fromWireCbor(bytes))
      if (read === undefined) return
      const got = outcome(
        () => checkAdmission(read.value, checks),
        (error) => error instanceof AdmissionRefusedError,
      )
      if (got === undefined) return
      admitted += 1
      assert.deepEqual(got.value, claims)
      assert.deepEqual(read.value.requested_scopes, present().requested_scopes)
    })
    assert.ok(admitted > 0 && admitted < cases, `admitted ${admitted} of ${cases}`)
  })

  it('with a key that is no point of the curve verifies nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (key) => {
        assert.ok(!isSignedBy(key, nonce, 'ab'.repeat(64)))
        assert.deepEqual(keyOfPeerId(peerIdOfKey(key)), key)
      }),
      { numRuns: runs(300) },
    )
  })
})

describe('signatures on records', () => {
  const rust = recordedMessages('response').filter(({ by }) => by === 'rust')
  const states = rust.flatMap(({ cbor }) => {
    const response = ControlResponse.fromWireCbor(cbor!)
    const answer =
      typeof response === 'object' && 'DiLoCo' in response ? response.DiLoCo : undefined
    return answer !== undefined && 'StateSnapshot' in answer && answer.StateSnapshot !== null
      ? [answer.StateSnapshot]
      : []
  })

  it('of a Rust peer on its DiLoCo state are verified with the key in its id', () => {
    assert.ok(states.length > 5)
    for (const state of states) {
      const signer = state.signature_bundle[0]!.signer
      assert.ok(isRecordSignedBy(DiLoCoStateSnapshot, state, signer))
      assert.ok(!isRecordSignedBy(DiLoCoStateSnapshot, { ...state, revision_id: 'x' }, signer))
      assert.ok(!isRecordSignedBy(DiLoCoStateSnapshot, state, other.peerId))
      assert.ok(!isRecordSignedBy(DiLoCoStateSnapshot, { ...state, signature_bundle: [] }, signer))
    }
  })

  it('of a Rust planner on its view of the fleet are verified', () => {
    const placements = recordedMessages('gossip').flatMap(({ json }) => {
      const { payload } = PubsubEnvelope.fromJson(json!)
      return 'Metrics' in payload ? [payload.Metrics.placement_snapshot] : []
    })
    const signed = placements.filter((placement) => placement !== null)
    assert.ok(signed.length > 0)
    for (const placement of signed) {
      assert.ok(isRecordSignedBy(FleetPlacementSnapshot, placement, placement.planner_peer_id))
    }
  })

  it('are made over the record without them', () => {
    const options = { keyId: 'runtime-diloco-state', signedAt: now }
    const signed = signRecord(DiLoCoStateSnapshot, states[0]!, peer, options)
    assert.ok(isRecordSignedBy(DiLoCoStateSnapshot, signed, peer.peerId))
    const wire = DiLoCoStateSnapshot.fromWireCbor(DiLoCoStateSnapshot.toWireCbor(signed))
    assert.ok(isRecordSignedBy(DiLoCoStateSnapshot, wire, peer.peerId))
    assert.equal(signed.signature_bundle.length, 1)
    const claimed = { ...signed.signature_bundle[0]!, signer: other.peerId }
    const stolen = { ...signed, signature_bundle: [claimed] }
    assert.ok(!isRecordSignedBy(DiLoCoStateSnapshot, stolen, other.peerId))
  })

  it('on a payload name what is wrong', () => {
    const { body } = certificate
    const key = issuer.publicKey
    assert.equal(payloadProblem(NodeCertificateEnvelope, body, key), undefined)
    assert.match(
      payloadProblem(NodeCertificateEnvelope, body, other.publicKey) ?? '',
      /not that of 12D3/,
    )
  })
})
