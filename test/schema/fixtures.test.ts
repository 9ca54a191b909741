import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

import {
  ArtifactDescriptor,
  artifactId,
  assignmentHash,
  ContributionReceipt,
  ContinuousTrainerPolicy,
  DataReceipt,
  dataReceiptId,
  DatasetRegistration,
  EvalProtocolManifest,
  HeadDescriptor,
  LeaseDataPipelineDescriptor,
  list,
  MicroShardPlan,
  microShardId,
  patchId,
  PlannedLease,
  PythonBatchRef,
  PythonDeploymentSanityReport,
  PythonTorchDatasetConfig,
  PythonTorchRuntimeConfig,
  RuntimePatch,
  ShardFetchManifest,
  WindowReport,
  type Codec,
} from '../../lib/schema/index.js'

// Tests run from the root of the repository.
const FOLDER = resolve('test/schema/fixtures')

const CODECS: Record<string, Codec<unknown>> = {
  'artifact-manifest.json': ArtifactDescriptor,
  'artifact-manifest-empty.json': ArtifactDescriptor,
  'batches.json': list(PythonBatchRef),
  'contribution-receipt.json': ContributionReceipt,
  'data-receipt.json': DataReceipt,
  'dataset-config.json': PythonTorchDatasetConfig,
  'dataset-registration.json': DatasetRegistration,
  'deployment-sanity-report.json': PythonDeploymentSanityReport,
  'eval-protocol.json': EvalProtocolManifest,
  'fetch-manifest.json': ShardFetchManifest,
  'head.json': HeadDescriptor,
  'microshard-plan.json': MicroShardPlan,
  'pipeline-descriptor.json': LeaseDataPipelineDescriptor,
  'pipeline-descriptor-generated.json': LeaseDataPipelineDescriptor,
  'planned-lease.json': PlannedLease,
  'runtime-config.json': PythonTorchRuntimeConfig,
  'runtime-patch.json': RuntimePatch,
  'trainer-policy.json': ContinuousTrainerPolicy,
  'window-report.json': WindowReport,
}

const read = (name: string) => readFileSync(join(FOLDER, name), 'utf8')

describe('stored files', () => {
  for (const [name, codec] of Object.entries(CODECS)) {
    it(`${name} is read and written to the same bytes`, () => {
      const source = read(name)
      const value = codec.fromJson(Buffer.from(source))
      assert.equal(`${codec.toJson(value, { pretty: true })}\n`, source)
      assert.deepEqual(codec.fromJson(codec.toJson(value)), value)
    })
  }

  it('are all known here', () => {
    assert.deepEqual(readdirSync(FOLDER).sort(), Object.keys(CODECS).sort())
  })

  it('hold the ids that their contents give', () => {
    const plan = MicroShardPlan.fromJson(read('microshard-plan.json'))
    for (const shard of plan.microshards) assert.equal(microShardId(shard), shard.microshard_id)

    const { lease } = PlannedLease.fromJson(read('planned-lease.json'))
    assert.equal(assignmentHash(lease), lease.assignment_hash)

    const receipt = DataReceipt.fromJson(read('data-receipt.json'))
    assert.equal(dataReceiptId(receipt), receipt.receipt_id)

    const artifact = ArtifactDescriptor.fromJson(read('artifact-manifest-empty.json'))
    assert.equal(artifactId(artifact), artifact.artifact_id)

    const patch = RuntimePatch.fromJson(read('runtime-patch.json'))
    assert.equal(patchId(patch), patch.patch_id)
  })
})
