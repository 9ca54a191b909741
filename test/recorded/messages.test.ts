/** What Rust peers sent, read and written again: the same bytes, the same text, the same ids. */
import assert from 'node:assert/strict'

import { assignmentHash, contentId, leaseId, receiptRoot } from '../../lib/schema/index.js'
import {
  aggregateId,
  ControlRequest,
  ControlResponse,
  diLoCoGroupId,
  gossipMessageId,
  mergeCertId,
  mergeWindowId,
  packChecksum,
  payloadMessageId,
  pseudoGradientManifestId,
  PubsubEnvelope,
  quorumCertId,
  reducerAssignmentId,
  reductionId,
  stateBlobId,
  type ControlPlaneSnapshot,
} from '../../lib/schema/records/network/index.js'
import { recordedMessages } from './messages.js'

const codecOf = { request: ControlRequest, response: ControlResponse }

/** Messages that hold a float which the reference's own JSON reader rounds by a unit in the last place. */
const NOT_REPRODUCIBLE = [
  'trainer 17 Update',
  'trainer 99 Update',
  'validator 35 Update',
  'validator 38 Update',
  'validator 70 Update',
  'validator 144 Metrics',
  'network 64 Update',
  'network 112 Update',
  'network 114 Metrics',
  'network 132 Metrics',
  'network 143 Update',
  'network 155 Update',
  'network 253 Metrics',
]

describe('recorded requests and responses', () => {
  const messages = recordedMessages('request', 'response')

  it('are 185, of these kinds', () => {
    assert.equal(messages.length, 185)
    const kinds = messages.map(({ kind, cbor }) => {
      const value: unknown = kind === 'gossip' ? null : codecOf[kind].fromWireCbor(cbor!)
      if (typeof value === 'string') return `${kind} ${value}`
      const [name, content] = Object.entries(value as object)[0] as [string, object]
      return `${kind} ${name}${name === 'DiLoCo' ? ` ${Object.keys(content)[0]}` : ''}`
    })
    assert.deepEqual([...new Set(kinds)].sort(), [
      'request ArtifactChunk',
      'request ArtifactManifest',
      'request DiLoCo CurrentParameters',
      'request DiLoCo GradientChunk',
      'request DiLoCo GradientManifest',
      'request DiLoCo OuterOptimizerState',
      'request DiLoCo RoundFinalize',
      'request DiLoCo RoundHeartbeat',
      'request DiLoCo RoundOffer',
      'request DiLoCo StateSnapshot',
      'request Snapshot',
      'response ArtifactChunk',
      'response ArtifactManifest',
      'response DiLoCo Ack',
      'response DiLoCo CurrentParameters',
      'response DiLoCo GradientChunk',
      'response DiLoCo GradientManifest',
      'response DiLoCo OuterOptimizerState',
      'response DiLoCo StateSnapshot',
      'response DiLoCo Unavailable',
      'response Snapshot',
    ])
  })

  it('are read and written back to the same bytes', () => {
    for (const { run, n, kind, cbor } of messages) {
      assert.ok(kind !== 'gossip')
      const read = (codec: typeof ControlRequest | typeof ControlResponse) =>
        codec.toWireCbor(codec.fromWireCbor(cbor!) as never)
      const written = read(codecOf[kind])
      assert.ok(Buffer.from(cbor!).equals(written), `${run} ${n} is written otherwise`)
    }
  })

  it('refuse each of their own beginnings', () => {
    for (const { kind, cbor } of messages.filter((message) => message.cbor!.length < 400)) {
      assert.ok(kind !== 'gossip')
      for (let length = 0; length < cbor!.length; length++) {
        assert.throws(() => codecOf[kind].fromWireCbor(cbor!.subarray(0, length)), {
          code: 'ERR_WIRE_FORMAT',
        })
      }
    }
  })
})

describe('recorded gossip', () => {
  const messages = recordedMessages('gossip')
  const envelopes = messages.map(({ json }) => PubsubEnvelope.fromJson(json!))

  it('is read without an unknown field and written back to the same text', () => {
    assert.equal(messages.length, 210)
    for (const { run, n, json } of messages) {
      const envelope = PubsubEnvelope.fromJson(json!, { unknownFields: 'refuse' })
      assert.equal(PubsubEnvelope.toJson(envelope), json, `${run} ${n}`)
    }
  })

  it('has the message ids that the reference computes, but for 13 with a float that it reads wrongly', () => {
    const identified = messages.filter(({ messageId }) => messageId !== undefined)
    assert.equal(identified.length, 209)
    const others = identified.filter(
      ({ json, messageId }) => gossipMessageId(Buffer.from(json!)) !== messageId,
    )
    const names = others.map(({ run, n, json }) => {
      const { payload } = PubsubEnvelope.fromJson(json!)
      return `${run} ${n} ${Object.keys(payload)[0]}`
    })
    assert.deepEqual(names, NOT_REPRODUCIBLE)
  })

  it('has the same id whenever it is published, and the id of its bytes when it cannot be read', () => {
    for (const envelope of envelopes) {
      const later = { ...envelope, published_at: '2030-01-01T00:00:00Z' }
      const bytes = Buffer.from(PubsubEnvelope.toJson(later))
      assert.equal(gossipMessageId(bytes), payloadMessageId(envelope.payload))
    }
    const broken = Buffer.from('{"topic_path":')
    assert.equal(gossipMessageId(broken), contentId(broken))
  })
})

/** Every record of the recorded snapshots and of gossip, by the name of its list. */
function recordedRecords<K extends keyof ControlPlaneSnapshot>(
  name: K,
): ControlPlaneSnapshot[K][number][] {
  return recordedMessages('response').flatMap(({ cbor }) => {
    const response = ControlResponse.fromWireCbor(cbor!)
    return typeof response === 'object' && 'Snapshot' in response
      ? [...(response.Snapshot[name] as ControlPlaneSnapshot[K][number][])]
      : []
  })
}

describe('ids in recorded messages follow from the rest of their records', () => {
  it('of merge windows', () => {
    const all = recordedRecords('merge_window_announcements').map((item) => item.merge_window)
    assert.equal(all.length, 75)
    for (const window of all) assert.equal(mergeWindowId(window), window.merge_window_id)
  })

  it('of reducer assignments', () => {
    const windows = recordedRecords('merge_window_announcements').map((item) => item.merge_window)
    const all = recordedRecords('reducer_assignment_announcements').map((item) => item.assignment)
    assert.equal(all.length, 19)
    for (const assignment of all) {
      const candidates = windows
        .filter(({ window_id }) => window_id === assignment.window_id)
        .map((window) => reducerAssignmentId(window.merge_window_id, assignment, true))
      assert.ok(candidates.includes(assignment.assignment_id))
    }
  })

  it('of leases', () => {
    const all = recordedRecords('lease_announcements').map((item) => item.lease)
    assert.equal(all.length, 19)
    for (const lease of all) {
      assert.equal(leaseId(lease), lease.lease_id)
      assert.equal(assignmentHash(lease), lease.assignment_hash)
    }
  })

  it('of updates', () => {
    const all = recordedRecords('update_announcements').map((item) => item.update)
    assert.equal(all.length, 48)
    for (const { receipt_ids, receipt_root } of all) {
      assert.equal(receipt_ids.length, 1)
      assert.equal(receiptRoot(receipt_ids[0]!), receipt_root)
    }
  })

  it('of aggregates, reductions and quorums', () => {
    const quorums = recordedRecords('validation_quorum_announcements').map(
      (item) => item.certificate,
    )
    assert.equal(quorums.length, 24)
    for (const quorum of quorums) {
      assert.equal(quorumCertId(quorum), quorum.quorum_cert_id)
      assert.equal(aggregateId(quorum, quorum.merged_head_id), quorum.aggregate_id)
      const reductions = quorum.attesting_validators.map((peer) =>
        reductionId(quorum.aggregate_id, peer, quorum.window_id),
      )
      assert.deepEqual(reductions, quorum.reduction_ids)
    }
    const reductions = recordedRecords('reduction_certificate_announcements')
    assert.equal(reductions.length, 28)
    for (const { certificate } of reductions) {
      const { aggregate_id, promoter_peer_id, window_id } = certificate
      assert.equal(reductionId(aggregate_id, promoter_peer_id, window_id), certificate.reduction_id)
    }
  })

  it('of merges by Rust peers', () => {
    const byRust = recordedMessages('gossip')
      .filter(({ by }) => by === 'rust')
      .map(({ json }) => PubsubEnvelope.fromJson(json!).payload)
      .flatMap((payload) => ('Merge' in payload ? [payload.Merge.certificate] : []))
    assert.equal(byRust.length, 8)
    for (const merge of byRust) assert.equal(mergeCertId(merge), merge.merge_cert_id)
  })

  it('of DiLoCo: groups, gradients, packs and state', () => {
    const responses = recordedMessages('response').flatMap(({ run, cbor }) => {
      const response = ControlResponse.fromWireCbor(cbor!)
      return run === 'diloco' && 'DiLoCo' in response ? [response.DiLoCo] : []
    })
    const states = responses.flatMap((item) =>
      'StateSnapshot' in item ? [item.StateSnapshot] : [],
    )
    const manifests = responses.flatMap((item) =>
      'GradientManifest' in item ? [item.GradientManifest] : [],
    )
    const packs = responses.flatMap((item) =>
      'CurrentParameters' in item ? [item.CurrentParameters] : [],
    )
    const blobs = responses.flatMap((item) =>
      'OuterOptimizerState' in item ? [item.OuterOptimizerState] : [],
    )
    const peers = [...new Set(manifests.map((item) => item!.peer_id))].sort()
    assert.equal(peers.length, 2)
    assert.deepEqual([states.length, manifests.length, packs.length, blobs.length], [12, 6, 2, 1])
    for (const state of states) {
      const { round_id, group_id, base_checkpoint_id } = state!.round_cursor
      if (group_id !== null) {
        assert.equal(diLoCoGroupId(round_id, base_checkpoint_id, peers), group_id)
      }
    }
    for (const item of manifests) {
      assert.equal(pseudoGradientManifestId(item!), item!.manifest_id)
    }
    const checksums = states.map((state) => state!.current_parameter_checksum)
    for (const item of packs) assert.ok(checksums.includes(packChecksum(item!)))
    for (const item of blobs) assert.equal(stateBlobId(item!), item!.content_id)
  })
})
