/** Ids of the network's records (spec network-records#golden-vectors). */
import assert from 'node:assert/strict'

import { contentIdOf, receiptRoot, StudyId, text, tuple } from '../../lib/schema/index.js'
import {
  aggregateId,
  attestationId,
  attestationReceiptRoot,
  canaryEvaluationId,
  challengeBytes,
  controlOverlay,
  DEFAULT_MERGE_TOPOLOGY_POLICY,
  experimentOverlay,
  mergeCertId,
  MergeTopologyPolicy,
  mergeWindowId,
  payloadFingerprint,
  payloadMessageId,
  quorumCertId,
  reducerAssignmentId,
  reducerAuthorityScore,
  reducerScore,
  reductionId,
  schemaEnvelope,
  TrainerPromotionAttestation,
  PeerRoleSet,
  ExperimentScopes,
} from '../../lib/schema/records/network/index.js'
import { anyValue } from '../../lib/schema/values.js'
import { vectorFile } from '../recorded/vectors.js'

const hex = (value: Uint8Array) => Buffer.from(value).toString('hex')

const window = {
  network_id: 'net-1',
  study_id: 'study-1',
  experiment_id: 'exp-1',
  revision_id: 'rev-1',
  window_id: 9,
  base_head_id: 'genesis',
}
const merged_head_id = 'exp-1-merged-window-9'
const aggregate_id = '12207b2a26117061d923563d180cbda778fa64be82e47817cc744a9559335a005096'
const time = '2026-01-02T03:04:05Z'
const heads = experimentOverlay(window, 'Heads')

describe('ids of the network', () => {
  it('name merge windows', () => {
    const id = '1220de722f0a8e03568bc01864c7a55675eb01922218b7cef05278ec213f3bd50fe7'
    assert.equal(mergeWindowId(window), id)
    const peers = {
      source_peer_id: 'peer-1',
      assigned_reducers: ['peer-1'],
      repair_reducers: ['peer-1'],
      upper_tier_reducers: ['peer-1'],
    }
    assert.equal(
      reducerAssignmentId(id, peers, true),
      '12208e3a6f5df1797a513652ee7fabcf7a8d8e19d68145f5b88ae75678e3bf46688a',
    )
    assert.notEqual(reducerAssignmentId(id, peers, false), reducerAssignmentId(id, peers, true))
  })

  it('name aggregates and certificates', () => {
    assert.equal(aggregateId(window, merged_head_id), aggregate_id)
    assert.equal(
      reductionId(aggregate_id, 'peer-v', 9),
      '1220a6b4717433322c3210d5b58a7ba553650e359e49b45645b9385a47fc0596dc45',
    )
    assert.equal(
      mergeCertId({ ...window, merged_head_id, promoter_peer_id: 'peer-v' }),
      '122072b51e06639a83d32fb6d493aa2e4f487340f51b84e7df1361408ee2a7054fd6',
    )
    assert.equal(
      quorumCertId({ ...window, merged_head_id, aggregate_id }),
      '12202d7e804e0584fd6f067bf3c1b0f4b17bdf38ec342e7fc9ba2ba02e6903958953',
    )
    assert.equal(
      canaryEvaluationId(window),
      '1220116911591b126ed7715d5a34feb077cf8a5fce4470bb795a324736cf0b33673e',
    )
  })

  it('rank reducers', () => {
    assert.equal(
      reducerScore(9, 'peer-1', 'peer-r', 'leaf'),
      '122079ab8fd1e33ccc917c9587e27db8ce533088a15443c847a4abda51a6e0011d1e',
    )
    assert.equal(
      reducerAuthorityScore('genesis', 9, 'peer-r'),
      '1220304aa37ec9685caec103e5c9e09fcc53c7e20dab1c560ac95944ceb25f8bf0fb',
    )
  })

  it('name receipts, alone and together, and attestations as a whole', () => {
    assert.equal(
      receiptRoot('exp-1-peer-1-receipt-9'),
      '1220fbeacc2b6ee958e4eac90568dacb79444c12f20123e638ec13d37274482f2252',
    )
    const receipts = ['exp-1-peer-1-receipt-9', 'exp-1-peer-2-receipt-9']
    const attestation: TrainerPromotionAttestation = {
      ...window,
      merged_head_id,
      merged_artifact_id: 'a',
      contribution_receipt_ids: receipts,
      contribution_receipt_root: attestationReceiptRoot(receipts),
      attester_peer_id: 'p',
      promotion_mode: 'DiffusionSteadyState',
      accepted_update_count: 2,
      accepted_sample_weight: 2,
      quality_score: null,
      issued_at: time,
    }
    const later = { ...attestation, issued_at: '2026-01-02T03:04:06Z' }
    assert.notEqual(attestationId(attestation), attestationId(later))
    assert.ok(!TrainerPromotionAttestation.toJson(attestation).includes('quality_score'))
  })

  it('hash what an aggregate is a schema of', () => {
    const schema = tuple('schema', text, StudyId, text, text, text)
    assert.equal(
      contentIdOf(schema, ['aggregate-artifact', 'study-1', 'exp-1', 'rev-1', 'genesis']),
      '122084a0dbca02aea863c43606c44d8bffdb2b9e1b372bd7a45aafb528980e60a6b1',
    )
  })
})

describe('ids of gossip', () => {
  it('of a merge', () => {
    const payload = {
      Merge: {
        overlay: heads,
        certificate: {
          ...window,
          merge_cert_id: 'c',
          merged_head_id,
          merged_artifact_id: 'a',
          policy: 'QualityWeightedEma' as const,
          issued_at: time,
          promoter_peer_id: 'p',
          promotion_mode: 'ValidatorQuorum' as const,
          contribution_receipts: ['r2', 'r1', 'r2'],
        },
        announced_at: time,
      },
    }
    assert.equal(
      payloadMessageId(payload),
      '122015ce739ec284a2be5616aede6a40ec1282f3c68636343dee57eb68e06a7f0173',
    )
    const custom = {
      Merge: {
        ...payload.Merge,
        certificate: { ...payload.Merge.certificate, policy: { Custom: 'x' } },
      },
    }
    assert.match(payloadFingerprint(custom) ?? '', /\|Custom\("x"\)\|r1,r2$/)
  })

  it('of a peer directory', () => {
    const payload = {
      PeerDirectory: {
        network_id: 'net-1',
        peer_id: 'peer-1',
        addresses: ['/ip4/127.0.0.1/tcp/4001'],
        advertised_roles: { roles: ['TrainerCpu' as const] },
        announced_at: time,
      },
    }
    assert.equal(
      payloadMessageId(payload),
      '1220a1e5971eab0c9fb966cad40cefb87cd6e03029dea3e938871f91a18049b68a9a',
    )
  })

  it('of a head', () => {
    const payload = {
      Head: {
        overlay: heads,
        provider_peer_id: 'peer-1',
        head: {
          head_id: 'h1',
          study_id: 'study-1',
          experiment_id: 'exp-1',
          revision_id: 'rev-1',
          artifact_id: 'a1',
          parent_head_id: null,
          global_step: 0,
          created_at: time,
          metrics: { loss: 1 },
        },
        announced_at: time,
      },
    }
    assert.equal(
      payloadMessageId(payload),
      '1220e01066322ea4d7d34e79d8cf4dafd5ad779c7e81c8d3c7c841a10bde7ba553d4',
    )
  })

  it('of the promotions of a diffusion do not depend on when they are announced', () => {
    const certificate = {
      ...window,
      merged_head_id,
      merged_artifact_id: 'a',
      promotion_mode: 'DiffusionSteadyState' as const,
      attesting_trainers: ['p2', 'p1'],
      attestation_ids: ['x'],
      attester_count: 2,
      cumulative_sample_weight: 2,
      settled_at: time,
      promoter_peer_id: 'p1',
    }
    const payload = {
      DiffusionPromotionCertificate: { overlay: heads, certificate, announced_at: time },
    }
    assert.equal(
      payloadFingerprint(payload),
      '/burn-p2p/net-1/study/study-1/exp/exp-1/heads|study-1|exp-1|rev-1|9|genesis|' +
        'exp-1-merged-window-9|a|p1,p2|x|4611686018427387904',
    )
    const attestation = {
      ...window,
      merged_head_id,
      merged_artifact_id: 'a',
      contribution_receipt_ids: ['r'],
      contribution_receipt_root: 'x',
      attester_peer_id: 'p',
      promotion_mode: 'DiffusionSteadyState' as const,
      accepted_update_count: 1,
      accepted_sample_weight: 1,
      quality_score: null,
      issued_at: time,
    }
    const fingerprint = (quality_score: number | null) =>
      payloadFingerprint({
        TrainerPromotionAttestation: {
          overlay: heads,
          attestation: { ...attestation, quality_score },
          announced_at: time,
        },
      })
    assert.match(fingerprint(null) ?? '', /\|p\|r\|4607182418800017408\|0$/)
    assert.match(fingerprint(0.5) ?? '', /\|4602678819172646912$/)
  })
})

describe('what is signed', () => {
  it('by a peer that presents a certificate', () => {
    const bytes = challengeBytes({
      peer_id: 'peer-1',
      client_manifest_id: null,
      requested_scopes: [{ Train: { experiment_id: 'exp-1' } }, 'Connect'],
      nonce_hash: 'nonce-1',
    })
    assert.equal(
      hex(bytes),
      '8466706565722d31f68267436f6e6e656374a165547261696ea16d6578706572696d656e745f6964656578702d31676e6f6e63652d31',
    )
  })

  it('by an issuer is the envelope alone', () => {
    const envelope = {
      schema: 'burn_p2p.node_certificate',
      schema_version: 3,
      protocol_version: '0.1.0',
      payload: {},
    }
    assert.equal(
      hex(schemaEnvelope(anyValue).toCbor(envelope)),
      'a466736368656d6178196275726e5f7032702e6e6f64655f63657274696669636174656e736368656d615f76657273696f6e037070726f746f636f6c5f76657273696f6e65302e312e30677061796c6f6164a0',
    )
  })
})

describe('sets of roles and scopes', () => {
  it('are in the order of their declaration', () => {
    const read = PeerRoleSet.fromJson('{"roles":["Viewer","TrainerCpu","Authority","Viewer"]}')
    assert.deepEqual(read, { roles: ['Authority', 'TrainerCpu', 'Viewer'] })
    const scopes = ExperimentScopes.toJson([
      { Admin: { study_id: 's' } },
      { Train: { experiment_id: 'b' } },
      'Discover',
      { Train: { experiment_id: 'a' } },
      { Train: { experiment_id: 'b' } },
      'Connect',
    ])
    assert.equal(
      scopes,
      '["Connect","Discover",{"Train":{"experiment_id":"a"}},{"Train":{"experiment_id":"b"}},{"Admin":{"study_id":"s"}}]',
    )
  })
})

describe('overlays', () => {
  it('are named after network, study, experiment and channel', () => {
    assert.equal(controlOverlay('net-1').path, '/burn-p2p/net-1/control')
    assert.equal(heads.path, '/burn-p2p/net-1/study/study-1/exp/exp-1/heads')
  })
})

describe('the default merge topology', () => {
  it('is that of the reference', () => {
    const { merge_topology_json } = vectorFile('defaults') as { merge_topology_json: string }
    assert.equal(MergeTopologyPolicy.toJson(DEFAULT_MERGE_TOPOLOGY_POLICY), merge_topology_json)
  })
})
