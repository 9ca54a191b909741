import assert from 'node:assert/strict'

import {
  ArtifactKind,
  DEFAULT_CONTINUOUS_TRAINER_POLICY,
  DEFAULT_DILOCO_POLICY,
  EvalSplit,
  GradientCodec,
  LeaseDataPipelineKind,
  MergePolicy,
  PatchClass,
  PatchOutcome,
  Precision,
  PythonBatchRef,
  PythonDiLoCoBackend,
  PythonDiLoCoConfig,
  supportsPatch,
  TrainerCanonicalReconcileStrategy,
  TrainingProtocol,
  UpstreamAdapter,
  WorkDisposition,
  WorkloadInputSource,
  type Codec,
} from '../../lib/schema/index.js'

/** A policy as it is written: what is skipped is not there. */
const diloco = {
  ...DEFAULT_DILOCO_POLICY,
  outer_optimizer_policy: { Sgd: { learning_rate_micros: 1_000_000, nesterov: false } },
}

/** Every form that spec formats#enums gives, as JSON text. */
const FORMS: [Codec<unknown>, string[]][] = [
  [EvalSplit, ['"Train"', '"Validation"', '"Test"', '{"Custom":"holdout"}']],
  [
    MergePolicy,
    [
      '"WeightedMean"',
      '"NormClippedWeightedMean"',
      '"TrimmedMean"',
      '"Ema"',
      '"QualityWeightedEma"',
      '{"Custom":"x"}',
    ],
  ],
  [TrainerCanonicalReconcileStrategy, ['"Replace"', '{"RootEma":{"canonical_weight":1.0}}']],
  [PatchOutcome, ['"Applied"', '"RequiresRestart"', '{"Rejected":"why"}']],
  [PatchClass, ['"Hot"', '"Warm"', '"Cold"']],
  [Precision, ['"Fp32"', '"Fp16"', '"Bf16"', '"Int8"', '{"Custom":"fp8"}']],
  [ArtifactKind, ['"FullHead"', '"ServeHead"', '"DeltaPack"', '"BrowserDataBundle"']],
  [WorkDisposition, ['"Accepted"', '"Rejected"', '"Partial"', '"Expired"']],
  [
    LeaseDataPipelineKind,
    ['"sharded-static"', '"indexed-dataset"', '"generated-dataset"', '"custom"'],
  ],
  [
    WorkloadInputSource,
    [
      '{"kind":"inline-records","record_format":"f","record_count":3}',
      '{"kind":"http-json","url":"http://x/","record_count":null}',
      '{"kind":"shard-manifest-http","manifest_url":"http://x/","shard_count":2}',
      '{"kind":"generated","descriptor":{"provider":"p","metadata":{"a":"b"}}}',
      '{"kind":"custom","source_kind":"s","metadata":{}}',
    ],
  ],
  [
    UpstreamAdapter,
    [
      '{"Hf":{"dataset":"d","config":null,"split":"train","streaming":false,"num_shards":null}}',
      '{"Http":{"base_url":"http://x/"}}',
      '{"Local":{"root":"/data"}}',
      '{"S3":{"bucket":"b","prefix":"p"}}',
      '{"Private":{"scheme":"s","locator":"l"}}',
    ],
  ],
  [TrainingProtocol, ['"ArtifactWindows"', `{"DiLoCo":${JSON.stringify(diloco)}}`]],
  [
    GradientCodec,
    [
      '"Fp32"',
      '{"Qsgd":{"bits":4,"stochastic":true}}',
      '{"LowRank":{"rank":2}}',
      '{"SignSgd":{"error_feedback":false}}',
    ],
  ],
  [
    PythonDiLoCoBackend,
    [
      '{"kind":"disabled"}',
      '{"kind":"in_process_worker"}',
      '{"kind":"checkpoint_command","program":"p","args":["a"],"env":{"K":"v"},"module_search_roots":[]}',
    ],
  ],
  [
    PythonBatchRef,
    [
      '{"kind":"cached_microshard_group","shard_paths":["p"],"microshard_ids":["m"],"ordinals":[0],"bytes_len":3}',
      '{"kind":"micro_epoch","lease_id":"l","microshard_ids":[],"ordinals":[],"bytes_len":0,"pipeline_kind":"custom","payload":{"seed":7,"t":1.0}}',
    ],
  ],
]

describe('enums', () => {
  for (const [codec, forms] of FORMS) {
    for (const form of forms) {
      it(`${codec.name} reads and writes ${form}`, () => {
        assert.equal(codec.toJson(codec.fromJson(form)), form)
      })
    }
  }

  it('are TypeScript values of the same form as their JSON', () => {
    assert.equal(EvalSplit.fromJson('"Train"'), 'Train')
    assert.deepEqual(EvalSplit.fromJson('{"Custom":"x"}'), { Custom: 'x' })
    assert.deepEqual(PythonDiLoCoBackend.fromJson('{"kind":"disabled"}'), { kind: 'disabled' })
  })

  it('read a bare variant given as an object that holds null, as the reference does', () => {
    assert.equal(EvalSplit.fromJson('{"Train":null}'), 'Train')
  })

  const wrong: [Codec<unknown>, string, RegExp][] = [
    [EvalSplit, '"train"', /expected "Train" or "Validation" or .*, got "train"/],
    [EvalSplit, '"Custom"', /got "Custom"/],
    [EvalSplit, '{"Custom":null}', /Custom: expected a string, got null/],
    [EvalSplit, '{"Custom":"x","Train":null}', /got an object/],
    [EvalSplit, '{"Train":1}', /Train: "Train" holds nothing, got 1/],
    [EvalSplit, '{}', /got an object/],
    [EvalSplit, 'null', /got null/],
    [EvalSplit, '["Train"]', /got an array of 1/],
    [EvalSplit, '{"constructor":null}', /got an object with "constructor"/],
    [EvalSplit, '{"__proto__":null}', /got an object with "__proto__"/],
    [EvalSplit, '"toString"', /got "toString"/],
    [UpstreamAdapter, '{"Local":{"root":3}}', /Local\.root: expected a string, got 3/],
    [UpstreamAdapter, '"Local"', /got "Local"/],
    [WorkloadInputSource, '{"kind":"http-json"}', /url: expected a string, got nothing/],
    [WorkloadInputSource, '{"kind":"HttpJson","url":"x"}', /kind: expected .*, got "HttpJson"/],
    [WorkloadInputSource, '{"url":"x"}', /kind: expected .*, got nothing/],
    [WorkloadInputSource, '3', /expected an object \(WorkloadInputSource\), got 3/],
    [
      PythonBatchRef,
      '{"kind":"micro_epoch","lease_id":"l","microshard_ids":[],"ordinals":[],"bytes_len":0,"pipeline_kind":"custom"}',
      /payload: expected a JSON value, got nothing/,
    ],
  ]
  for (const [codec, source, message] of wrong) {
    it(`${codec.name} refuses ${source}`, () =>
      assert.throws(() => codec.fromJson(source), message))
  }

  it('refuse to write a value that is not a variant', () => {
    const values = [
      'train',
      'Custom',
      { Custom: 1 },
      {},
      { Train: null, Test: null },
      { Nope: 1 },
      null,
      3,
    ]
    for (const value of values)
      assert.throws(() => EvalSplit.toJson(value as never), /Cannot write EvalSplit/)
    assert.throws(() => PythonBatchRef.toCbor({ kind: 'nope' } as never), /expected a kind "cached/)
    assert.throws(() => PythonBatchRef.toCbor({ kind: '__proto__' } as never), /expected a kind/)
  })

  it('read an internal tag wherever it stands, and write it first', () => {
    const read = WorkloadInputSource.fromJson(
      '{"extra":1,"record_count":3,"url":"x","kind":"http-json"}',
    )
    assert.equal(
      WorkloadInputSource.toJson(read),
      '{"kind":"http-json","url":"x","record_count":3}',
    )
  })
})

describe('defaults', () => {
  it('of the trainer policy and of DiLoCo are those of the spec', () => {
    assert.deepEqual(DEFAULT_CONTINUOUS_TRAINER_POLICY.canonical_reconcile, {
      RootEma: { canonical_weight: 0.25 },
    })
    assert.deepEqual(PythonDiLoCoConfig.fromJson('{}'), {
      backend: { kind: 'disabled' },
      require_exact_steps: true,
    })
    const required =
      '{"num_inner_steps":32,"target_group_size":4,"minimum_group_size":1,"matchmaking_timeout_ms":5000,"aggregation_timeout_ms":15000,"checkpoint_interval_rounds":8}'
    assert.deepEqual(TrainingProtocol.fromJson(`{"DiLoCo":${required}}`), {
      DiLoCo: DEFAULT_DILOCO_POLICY,
    })
  })
})

describe('patch support', () => {
  it('says for each class whether it is taken', () => {
    const support = { hot: true, warm: false, cold: true }
    assert.deepEqual(
      (['Hot', 'Warm', 'Cold'] as const).map((patchClass) => supportsPatch(support, patchClass)),
      [true, false, true],
    )
  })
})
