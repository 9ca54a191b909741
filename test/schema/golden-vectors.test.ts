import assert from 'node:assert/strict'

import {
  artifactId,
  assignmentHash,
  bytes,
  contentId,
  contentIdFromDigest,
  contentIdOf,
  ContentId,
  dataReceiptId,
  evalProtocolId,
  f32Array,
  GradientCodec,
  isContentId,
  leaseId,
  leaseRankingScore,
  list,
  microShardId,
  PeerId,
  receiptRoot,
  record,
  runtimePatch,
  samplerScore,
  text,
  tuple,
  u64,
  type EvalProtocolManifest,
  type WorkDisposition,
} from '../../lib/schema/index.js'
import { patchHash } from '../../lib/schema/records/patch.js'
import { independentCbor } from './support/independent-cbor.js'

const hex = (value: Uint8Array) => Buffer.from(value).toString('hex')
const utf8 = (value: string) => Buffer.from(value)

const shard = (ordinal: number) => ({
  dataset_view_id: 'view-1',
  ordinal,
  estimated_examples: 10,
  estimated_tokens: 10,
  estimated_bytes: 10,
})
const SHARD_0 = '122084fa4d7099bc70d6c7dbaa092f670208e46c78f58cc72f6a198b55700bd229ce'
const SHARD_1 = '122067decfd81eaaddcebbb29860b786e23c65337b55808868af4f45ffa44b6bb47e'
const ABC = '1220ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'

const lease = {
  lease_id: '1220fa744dc83ca816e6a84ce9864b0e88aa9f9ada7aaf878d3267b4ff95f48c2882',
  network_id: 'net-1',
  study_id: 'study-1',
  experiment_id: 'exp-1',
  revision_id: 'rev-1',
  peer_id: 'peer-1',
  dataset_view_id: 'view-1',
  window_id: 9,
  granted_at: '2026-01-02T03:04:05Z',
  expires_at: '2026-01-02T03:09:05Z',
  budget_work_units: 64,
  microshards: [SHARD_0, SHARD_1],
}

describe('the known ids of spec formats#golden-vectors', () => {
  it('names raw bytes by the multihash of their SHA-256', () => {
    assert.equal(contentId(utf8('abc')), ABC)
    assert.equal(contentIdFromDigest(Buffer.from(ABC.slice(4), 'hex')), ABC)
    assert.throws(() => contentIdFromDigest(new Uint8Array(20)), /32 bytes, not 20/)
  })

  it('tells content ids from other ids', () => {
    assert(isContentId(ABC))
    for (const id of ['', 'model-schema', ABC.toUpperCase(), ABC.slice(1), `${ABC}0`, `${ABC}\n`]) {
      assert(!isContentId(id))
    }
  })

  it('names microshards', () => {
    assert.equal(microShardId(shard(0)), SHARD_0)
    assert.equal(microShardId(shard(1)), SHARD_1)
  })

  it('hashes a microshard as the tuple of its shares', () => {
    const hash = tuple('tuple', text, u64, u64, u64, u64)
    assert.equal(hex(hash.toCbor(['view-1', 0, 10, 10, 10])), '8566766965772d31000a0a0a')
  })

  it('scores microshards for a peer', () => {
    const scores = [
      '12207795f7403ff86196312b64025025db2e59f54b566a6a7646a4d54ab67653b59d',
      '12202a46d31df5f27510815fbc2242e0f2508ec468559602e00c0c26399fc5a08fd5',
    ]
    assert.deepEqual(
      [SHARD_0, SHARD_1].map((id) => leaseRankingScore('peer-1', id)),
      scores,
    )
  })

  it('names a lease and hashes its assignment', () => {
    assert.equal(leaseId(lease), lease.lease_id)
    assert.equal(
      assignmentHash(lease),
      '1220b2fb6adc1929fce5389f452aeeebd4001813d70d558572341c6ebd0ed41ed5c9',
    )
  })

  it('scores microshards for a window', () => {
    const scores = [
      '1220b7f534f1f4da20aa3b708051f94b2d52e162215a3b99217c8646ecd9195e54a5',
      '1220fd4caf3761d5a39a096b2fcf713e9e124a3d28e1c318b7841e9c62e25a3b4b5a',
    ]
    assert.deepEqual(
      [SHARD_0, SHARD_1].map((id) => samplerScore(9, id)),
      scores,
    )
  })

  it('names a data receipt', () => {
    const receipt = {
      lease_id: lease.lease_id,
      peer_id: 'peer-1',
      completed_at: '2026-01-02T03:05:00.250Z',
      microshards: lease.microshards,
      examples_processed: 20,
      tokens_processed: 20,
      disposition: 'Accepted' as WorkDisposition,
    }
    assert.equal(
      dataReceiptId(receipt),
      '1220f9dc722fe24a21cf9d4560b7669d8df3f8021f160eb5b72b9507b0902aecb2f3',
    )
  })

  it('names an artifact in chunks', () => {
    const chunks = ['abc', 'def', 'gh'].map((part, index) => {
      const hash: string = contentId(utf8(part))
      return {
        chunk_id: hash,
        offset_bytes: index * 3,
        length_bytes: part.length,
        chunk_hash: hash,
      }
    })
    assert.equal(
      artifactId({
        kind: 'ServeHead',
        head_id: 'serve-head',
        base_head_id: null,
        precision: 'Fp16',
        model_schema_hash: 'model-schema',
        record_format: 'burn-store:safetensors',
        chunks,
        root_hash: contentId(utf8('abcdefgh')),
      }),
      '122095e5f41f4751db3bcd224af428c8a57cbc9f5ebb0732008c08636718bf740d41',
    )
  })

  it('names an empty artifact of a custom precision', () => {
    assert.equal(
      artifactId({
        kind: 'DeltaPack',
        head_id: null,
        base_head_id: 'head-0',
        precision: { Custom: 'fp8' },
        model_schema_hash: 'schema',
        record_format: 'python-torch-safetensors',
        chunks: [],
        root_hash: contentId(new Uint8Array()),
      }),
      '1220b2c633668d191d299fd030319d5fcf5b82b8a7b6141598af29ac52833d39588e',
    )
  })

  it('hashes a parameter pack', () => {
    const pack = record('FlattenedTensorPack', {
      model_schema_hash: ContentId,
      layout_hash: ContentId,
      values: f32Array,
    })
    const value = {
      model_schema_hash: 'schema-a',
      layout_hash: 'layout-a',
      values: Float32Array.of(0.25, -1.5, 3, 8.25),
    }
    assert.equal(
      contentIdOf(pack, value),
      '1220691644e5cf3b0dbcccb005592ac002c45dde718b4a5a2a0a20a5ffca71100173',
    )
  })

  it('hashes a state blob', () => {
    assert.equal(
      contentIdOf(tuple('state blob', text, bytes), ['application/json', utf8('{}')]),
      '1220227349e71cfb769223b3372b2aef5c7a9a87d2473f5cdeab5b970289f316f63d',
    )
  })

  it('names a patch', () => {
    const patch = runtimePatch({
      class: 'Hot',
      summary: 'lr',
      values: { learning_rate: 0.0002 },
    })
    assert.equal(
      hex(patchHash.toCbor(['lr', 'Hot', patch.values, []])),
      '84626c7263486f74a16d6c6561726e696e675f72617465fb3f2a36e2eb1c432d80',
    )
    assert.equal(
      patch.patch_id,
      '12205fe7e46c67415237c8e78793bfacf6687aa3aa478212edcb8c8d6ee4410ab071',
    )
  })

  it('writes gradient codecs', () => {
    assert.equal(hex(GradientCodec.toCbor('Fp16')), '6446703136')
    assert.equal(
      hex(GradientCodec.toCbor({ BlockwiseInt8: { block_size: 64 } })),
      'a16d426c6f636b77697365496e7438a16a626c6f636b5f73697a651840',
    )
  })

  it('names a group of peers', () => {
    const group = tuple('group', u64, text, list(PeerId))
    assert.equal(
      contentIdOf(group, [0, 'base', ['peer-a', 'peer-b']]),
      '1220e2700fb866a4e8d0c613ce75957e7fdc9075ca6c7d22a7b6224993100d7dbfbe',
    )
  })
})

describe('ids that have no known value', () => {
  const independentId = (value: Parameters<typeof independentCbor>[0]) =>
    contentId(Buffer.from(independentCbor(value), 'hex'))

  it('roots one receipt as a list of one', () => {
    assert.equal(receiptRoot('receipt-1'), independentId(['receipt-1']))
  })

  it('names an evaluation protocol', () => {
    const manifest: Omit<EvalProtocolManifest, 'eval_protocol_id'> = {
      name: 'validation',
      dataset_view_id: 'view-1',
      split_id: 'split-1',
      metric_defs: [
        { metric_key: 'loss', display_name: 'Loss', unit: null, higher_is_better: false },
      ],
      aggregation_rule: 'Mean',
      sample_budget: 1024,
      deterministic_sampler_seed: 2n ** 64n - 1n,
      version: '1',
    }
    const metric = new Map<string, string | boolean | null>([
      ['metric_key', 'loss'],
      ['display_name', 'Loss'],
      ['unit', null],
      ['higher_is_better', false],
    ])
    assert.equal(
      evalProtocolId(manifest),
      independentId([
        'validation',
        'view-1',
        'split-1',
        [metric],
        'Mean',
        1024n,
        2n ** 64n - 1n,
        '1',
      ]),
    )
  })

  it('depends on every field of a lease, and on whether a number is an integer or a float', () => {
    const base = assignmentHash(lease)
    for (const [field, value] of Object.entries(lease)) {
      const other =
        typeof value === 'number'
          ? value + 1
          : typeof value === 'string'
            ? value
                .replace('2026', '2027')
                .replace(/-1$/, '-2')
                .replace(/^1220fa/, '1220fb')
            : [SHARD_1, SHARD_0]
      assert.notEqual(assignmentHash({ ...lease, [field]: other }), base, field)
    }
    const patch = (value: bigint | number) =>
      runtimePatch({ class: 'Hot', summary: 's', values: { v: value } }).patch_id
    assert.notEqual(patch(1n), patch(1))
  })
})
