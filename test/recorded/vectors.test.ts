/** What the Rust crates compute for random input, computed again. */
import assert from 'node:assert/strict'

import {
  ArtifactDescriptor,
  artifactId,
  AssignmentLease,
  assignmentHash,
  ContentId,
  ContributionReceipt,
  DataReceipt,
  dataReceiptId,
  DatasetSizing,
  DatasetView,
  DEFAULT_DILOCO_POLICY,
  DiLoCoPolicy,
  f64,
  GradientCodec,
  i64,
  i64Exact,
  json,
  leaseId,
  LeaseSelection,
  list,
  MetricValue,
  MicroShard,
  MicroShardPlannerConfig,
  optional,
  parseJson,
  pathComponent,
  RuntimePatch,
  StudyId,
  text,
  Timestamp,
  timestampFromNanoseconds,
  timestampNanoseconds,
  tuple,
  u32,
  u64,
} from '../../lib/schema/index.js'
import { buildArtifactDescriptor, chunkingScheme } from '../../lib/store/index.js'
import { CheckpointCatalog, MergePlan } from '../../lib/lineage/index.js'
import {
  DataReceiptBuilder,
  LeasePlanner,
  MicroShardPlanner,
  ShardAwareSampler,
} from '../../lib/data/index.js'
import { float32Text, float64Text } from '../../lib/json/float-text.js'
import { encodeCbor } from '../../lib/schema/cbor.js'
import {
  packChecksum,
  PseudoGradientManifest,
  pseudoGradientManifestId,
  stateBlobId,
} from '../../lib/schema/records/diloco.js'
import { patchId } from '../../lib/schema/records/patch.js'
import { map } from '../../lib/schema/index.js'
import { PatchValue } from '../../lib/schema/values.js'
import { vectorFile, vectors } from './vectors.js'

const hex = (value: Uint8Array) => Buffer.from(value).toString('hex')
const unhex = (value: string) => new Uint8Array(Buffer.from(value, 'hex'))

describe('numbers as the reference writes them', () => {
  const numbers = vectorFile('numbers') as Readonly<Record<string, ReturnType<typeof vectorFile>>>

  it('have the same text and the same hash bytes for 458 doubles, and the text reads back to the same bits', () => {
    const all = vectors(numbers.f64, { bits: text, cbor: text, json: text, metric_json: text })
    assert.equal(all.length, 458)
    for (const vector of all) {
      const value = Buffer.from(vector.bits, 'hex').readDoubleBE()
      assert.equal(float64Text(value), vector.json)
      assert.equal(f64.toJson(value), vector.json)
      assert.equal(MetricValue.toJson(value), vector.metric_json)
      assert.equal(hex(f64.toCbor(value)), vector.cbor)
      assert(Object.is(f64.fromJson(vector.json), value), vector.json)
    }
  })

  it('have the same text and the same hash bytes for 397 singles', () => {
    const all = vectors(numbers.f32, { bits: text, cbor: text, json: text })
    assert.equal(all.length, 397)
    for (const vector of all) {
      const value = Buffer.from(vector.bits, 'hex').readFloatBE()
      assert.equal(float32Text(value), vector.json)
      assert.equal(hex(encodeCbor(Float32Array.of(value))), `81${vector.cbor}`)
      assert(Object.is(Math.fround(Number(vector.json)), value), vector.json)
    }
  })

  it('have the same text and the same hash bytes for integers over the range of an i64', () => {
    for (const vector of vectors(numbers.integers, { cbor: text, json: text, value: text })) {
      const value = BigInt(vector.value)
      assert.equal(i64Exact.toJson(value), vector.json)
      assert.equal(hex(i64Exact.toCbor(value)), vector.cbor)
      assert.equal(i64Exact.fromJson(vector.json), value)
    }
  })

  it('have the same text and the same hash bytes for 120 times', () => {
    const all = vectors(numbers.times, { cbor: text, json: text, nanos: u64, seconds: i64 })
    assert.equal(all.length, 120)
    for (const vector of all) {
      const nanoseconds = BigInt(vector.seconds) * 1_000_000_000n + BigInt(vector.nanos)
      const time = timestampFromNanoseconds(nanoseconds)
      assert.equal(time, vector.json)
      assert.equal(hex(Timestamp.toCbor(time)), vector.cbor)
      assert.equal(timestampNanoseconds(vector.json), nanoseconds)
    }
  })
})

describe('ids as file names', () => {
  it('are those of the reference', () => {
    const pair = tuple('id and file name', text, text)
    for (const [id, name] of list(pair).fromValue(vectorFile('path-components'))) {
      assert.equal(pathComponent(id), name)
    }
  })
})

describe('plans and leases of the reference', () => {
  const fields = {
    budget: u64,
    completed_at: Timestamp,
    experiment_id: text,
    granted_at: Timestamp,
    lease: AssignmentLease,
    lease_duration_seconds: u64,
    lease_json: text,
    max_microshards_per_lease: u64,
    microshards: list(MicroShard),
    network_id: text,
    order: list(text),
    peer_id: text,
    planner: MicroShardPlannerConfig,
    receipt: DataReceipt,
    revision_id: text,
    selection: LeaseSelection,
    sizing: DatasetSizing,
    study_id: StudyId,
    view: DatasetView,
    window_id: u64,
  }
  const all = vectors(vectorFile('leases'), fields)

  it('are 120', () => assert.equal(all.length, 120))

  it('cut the same datasets into the same microshards', async () => {
    for (const vector of all) {
      const plan = await new MicroShardPlanner(vector.planner).plan(vector.view, vector.sizing)
      assert.deepEqual(plan.microshards, vector.microshards)
    }
  })

  it('select the same microshards for a peer and write the same lease', async () => {
    for (const vector of all) {
      const { lease_duration_seconds, max_microshards_per_lease } = vector
      const planner = new LeasePlanner({ lease_duration_seconds, max_microshards_per_lease })
      const planned = await planner.planLease(
        {
          network_id: vector.network_id,
          study_id: vector.study_id,
          experiment_id: vector.experiment_id,
          revision_id: vector.revision_id,
          peer_id: vector.peer_id,
          dataset_view_id: vector.view.dataset_view_id,
          window_id: vector.window_id,
          granted_at: vector.granted_at,
          budget_work_units: vector.budget,
        },
        vector.microshards,
      )
      assert.deepEqual(planned, { lease: vector.lease, selection: vector.selection })
      assert.equal(AssignmentLease.toJson(planned.lease), vector.lease_json)
      assert.equal(leaseId(vector.lease), vector.lease.lease_id)
      assert.equal(assignmentHash(vector.lease), vector.lease.assignment_hash)
    }
  })

  it('train on the microshards of a lease in the same order', async () => {
    for (const { lease, order } of all) {
      assert.deepEqual((await ShardAwareSampler.fromLease(lease)).orderedMicroshards(), order)
    }
  })

  it('give the same receipts', () => {
    for (const { lease, receipt, completed_at } of all) {
      const { receipt_id, ...work } = receipt
      assert.deepEqual(new DataReceiptBuilder(work).build(lease, completed_at), receipt)
      assert.equal(dataReceiptId(work), receipt_id)
    }
  })
})

describe('artifacts of the reference', () => {
  it('have the same descriptors for 80 byte strings', async () => {
    const fields = { bytes: text, chunk_size: u64, descriptor: ArtifactDescriptor }
    const all = vectors(vectorFile('artifacts'), fields)
    assert.equal(all.length, 80)
    for (const { bytes: content, chunk_size, descriptor } of all) {
      const built = await buildArtifactDescriptor(
        descriptor,
        unhex(content),
        chunkingScheme(chunk_size),
      )
      assert.deepEqual(built, descriptor)
      assert.equal(artifactId(descriptor), descriptor.artifact_id)
    }
  })
})

describe('patches of the reference', () => {
  it('have the same text, the same hash bytes of their values, and the same ids', () => {
    const all = vectors(vectorFile('patches'), { patch_json: text, values_cbor: text })
    assert.equal(all.length, 80)
    for (const vector of all) {
      const patch = RuntimePatch.fromJson(vector.patch_json, { unknownFields: 'refuse' })
      assert.equal(RuntimePatch.toJson(patch), vector.patch_json)
      assert.equal(hex(map(PatchValue).toCbor(patch.values)), vector.values_cbor)
      assert.equal(patchId(patch), patch.patch_id)
    }
  })
})

describe('merge plans of the reference', () => {
  it('are the same to the last bit for 40 sets of contributions', () => {
    const fields = {
      artifacts: list(ArtifactDescriptor),
      error: optional(text),
      plan: MergePlan,
      receipts: list(ContributionReceipt),
    }
    const all = vectors(vectorFile('merges'), fields)
    assert.equal(all.length, 40)
    for (const { artifacts, error, plan, receipts } of all) {
      assert.equal(error, null)
      const catalog = new CheckpointCatalog()
      for (const artifact of artifacts) catalog.insertArtifact(artifact)
      const { study_id, experiment_id, revision_id, base_head_id, policy } = plan
      const planned = catalog.planMerge({
        study_id,
        experiment_id,
        revision_id,
        base_head_id,
        policy,
        contributions: [...receipts].reverse(),
      })
      assert.deepEqual(planned, plan)
    }
  })
})

describe('DiLoCo records of the reference', () => {
  it('have the same content ids of 24 state blobs', () => {
    const all = vectors(vectorFile('state-blobs'), {
      bytes: text,
      content_id: ContentId,
      encoding: text,
    })
    assert.equal(all.length, 24)
    for (const { bytes: content, content_id, encoding } of all) {
      assert.equal(stateBlobId({ encoding, bytes: unhex(content) }), content_id)
    }
  })

  it('have the same checksums of 96 packs, and manifests with the same text and ids', () => {
    const all = vectors(vectorFile('gradients'), {
      bytes: text,
      codec: GradientCodec,
      decoded: list(u32),
      l2_norm_bits: text,
      layout: text,
      manifest_json: text,
      max_abs_bits: u32,
      pack_checksum: ContentId,
      schema: text,
      values: list(u32),
    })
    assert.equal(all.length, 96)
    const floats = (bits: readonly number[]) => new Float32Array(Uint32Array.from(bits).buffer)
    for (const vector of all) {
      const pack = { model_schema_hash: vector.schema, layout_hash: vector.layout }
      assert.equal(packChecksum({ ...pack, values: floats(vector.values) }), vector.pack_checksum)
      const manifest = PseudoGradientManifest.fromJson(vector.manifest_json, {
        unknownFields: 'refuse',
      })
      assert.equal(PseudoGradientManifest.toJson(manifest), vector.manifest_json)
      assert.equal(pseudoGradientManifestId(manifest), manifest.manifest_id)
      assert.equal(packChecksum({ ...pack, values: floats(vector.decoded) }), manifest.checksum)
      assert.deepEqual(manifest.codec, vector.codec)
    }
  })
})

describe('defaults of the reference', () => {
  it('are those of the DiLoCo policy here', () => {
    const { diloco_policy_json } = vectorFile('defaults') as { diloco_policy_json: string }
    assert.equal(DiLoCoPolicy.toJson(DEFAULT_DILOCO_POLICY), diloco_policy_json)
    assert.deepEqual(DiLoCoPolicy.fromJson(diloco_policy_json), DEFAULT_DILOCO_POLICY)
  })

  it('are JSON that is written back alike', () => {
    const { robustness_json } = vectorFile('defaults') as {
      robustness_json: Readonly<Record<string, string>>
    }
    assert.deepEqual(Object.keys(robustness_json), ['balanced', 'minimal', 'research', 'strict'])
    for (const source of Object.values(robustness_json)) {
      const sorted = json.toJson(parseJson(source))
      assert.equal(json.toJson(parseJson(sorted)), sorted)
    }
  })
})
