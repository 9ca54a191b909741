import assert from 'node:assert/strict'

import fc from 'fast-check'
import { z } from 'zod'

import { AbortError, ConfigError } from '../../lib/errors.js'
import {
  ArtifactDescriptor,
  compareUtf8,
  DatasetSizing,
  f64,
  HeadDescriptor,
  jsonFrom,
  LeaseDataPipelineDescriptor,
  list,
  map,
  Metrics,
  MicroShard,
  optional,
  PythonStateDictFilterConfig,
  record,
  skipNull,
  text,
  textSet,
  tuple,
  u32,
  u64,
  u64Exact,
  u8,
  withDefault,
  type MetricValue,
} from '../../lib/schema/index.js'
import { zodSchema } from '../../lib/zod.js'
import { finiteFloats, texts } from './support/arbitraries.js'
import { runs } from '../support/runs.js'

/** The problems that a call reports, as `path: message`. */
function problems(call: () => unknown): string[] {
  try {
    call()
  } catch (error) {
    assert(error instanceof ConfigError)
    return error.issues.map(({ path, message }) => `${path}: ${message}`)
  }
  return assert.fail('nothing was refused')
}

const shard: MicroShard = {
  microshard_id: 'shard-1',
  dataset_view_id: 'view-1',
  ordinal: 3,
  estimated_examples: 10,
  estimated_tokens: 20,
  estimated_bytes: 30,
}

describe('records', () => {
  it('are written in declaration order, whatever the order of the object', () => {
    const reversed = Object.fromEntries(Object.entries(shard).reverse()) as MicroShard
    assert.equal(MicroShard.toJson(reversed), MicroShard.toJson(shard))
    assert.deepEqual(MicroShard.toCbor(reversed), MicroShard.toCbor(shard))
    assert.match(MicroShard.toJson(reversed), /^{"microshard_id":"shard-1","dataset_view_id"/)
  })

  it('ignore unknown fields when read and when written', () => {
    const more = { ...shard, extra: 1, __proto__: { ordinal: 9 } }
    assert.equal(MicroShard.toJson(more), MicroShard.toJson(shard))
    const read = MicroShard.fromJson(MicroShard.toJson(shard).replace('{', '{"extra":[1],'))
    assert.deepEqual(read, shard)
  })

  it('report every problem at once, each with its path', () => {
    const source =
      '{"microshard_id":7,"ordinal":1.0,"estimated_examples":-1,"estimated_tokens":null,"estimated_bytes":"3"}'
    assert.deepEqual(
      problems(() => MicroShard.fromJson(source)),
      [
        'microshard_id: expected a string, got 7',
        'dataset_view_id: expected a string, got nothing (it is missing)',
        'ordinal: expected an integer from 0 to 4294967295, got 1.0',
        'estimated_examples: expected an integer from 0 to 9007199254740991, got -1',
        'estimated_tokens: expected an integer from 0 to 9007199254740991, got null',
        'estimated_bytes: expected an integer from 0 to 9007199254740991, got "3"',
      ],
    )
  })

  it('give the path through lists and maps', () => {
    const plan = record('Plan', { shards: list(MicroShard), tags: map(list(u8)) })
    const source = `{"shards":[${MicroShard.toJson(shard)},3],"tags":{"ok":[1],"a b":[2,256]}}`
    assert.deepEqual(
      problems(() => plan.fromJson(source)),
      [
        'shards[1]: expected an object (MicroShard), got 3',
        'tags["a b"][1]: expected an integer from 0 to 255, got 256',
      ],
    )
    const bad = { shards: [shard, { ...shard, ordinal: -1 }], tags: {} }
    assert.deepEqual(
      problems(() => plan.toJson(bad)),
      ['shards[1].ordinal: expected an integer from 0 to 4294967295, got -1'],
    )
  })

  it('report at most twenty problems of a hostile text, and how many more there are', () => {
    const issues = problems(() => list(u8).fromJson(`[${'-1,'.repeat(9_999)}-1]`))
    assert.equal(issues.length, 21)
    assert.equal(issues.at(-1), ': and 9980 more')
  })

  it('list the first twenty problems of millions at no great cost', () => {
    const start = performance.now()
    const issues = problems(() => list(u8).fromValue(new Array(1_000_000).fill('x'.repeat(1000))))
    assert.match(issues[19] ?? '', /^\[19\]: expected an integer from 0 to 255, got "x/)
    assert.equal(issues[20], ': and 999980 more')
    assert(performance.now() - start < 2000)
  })

  it('refuse the holes of an array as missing values', () => {
    // eslint-disable-next-line no-sparse-arrays
    const sparse = ['a', , 'b'] as string[]
    const message = '[1]: expected a string, got nothing (it is missing)'
    assert.deepEqual(
      problems(() => list(text).fromValue(sparse)),
      [message],
    )
    assert.deepEqual(
      problems(() => list(text).toJson(sparse)),
      [message],
    )
    assert.throws(() => jsonFrom(sparse), /expected a JSON value, got nothing/)
  })

  it('can be parts of schemas of zod, and say where a problem is', () => {
    const schema = z.object({ shard: zodSchema(MicroShard) })
    const value = MicroShard.fromJson(MicroShard.toJson(shard))
    const wire = { ...shard, ordinal: 3n, estimated_examples: 10n, estimated_tokens: 20n }
    assert.deepEqual(schema.parse({ shard: { ...wire, estimated_bytes: 30n } }).shard, value)
    const { error } = schema.safeParse({ shard: { ...wire, estimated_bytes: 1 } })
    assert.deepEqual(
      error?.issues.map(({ path, message }) => [path, message]),
      [[['shard', 'estimated_bytes'], 'expected an integer from 0 to 9007199254740991, got 1.0']],
    )
  })

  it('quote only the start of a long text', () => {
    const [issue = ''] = problems(() => u8.fromJson(JSON.stringify('x'.repeat(100_000))))
    assert(issue.length < 200)
    assert.match(issue, /\(100000 characters\)/)
  })

  for (const source of ['[]', 'null', '3', '"x"', 'true']) {
    it(`refuse ${source} instead of an object`, () =>
      assert.throws(() => MicroShard.fromJson(source), /expected an object \(MicroShard\)/))
  }

  it('do not take fields from a __proto__ key', () => {
    const source = `{"__proto__":${MicroShard.toJson(shard)}}`
    assert.equal(problems(() => MicroShard.fromJson(source)).length, 6)
  })
})

describe('reading in pauses', () => {
  const shards = list(MicroShard)
  const source = shards.toJson(new Array<MicroShard>(5000).fill(shard))

  it('gives the same record as reading at once, from text and from bytes', async () => {
    const expected = shards.fromJson(source)
    assert.deepEqual(await shards.fromJsonAsync(source), expected)
    assert.deepEqual(await shards.fromJsonAsync(Buffer.from(source)), expected)
  })

  it('lets the event loop turn meanwhile', async () => {
    let turns = 0
    const count = () => {
      turns++
      timer = setImmediate(count)
    }
    let timer = setImmediate(count)
    await shards.fromJsonAsync(source)
    clearImmediate(timer)
    assert(turns >= 5, `${turns} turns`)
  })

  it('reports the same problems', async () => {
    const message = (call: () => unknown) => {
      try {
        call()
      } catch (error) {
        return (error as Error).message
      }
      return assert.fail('nothing was refused')
    }
    for (const bad of ['[', source.replace(/3(?=[^3]*$)/, '-3'), `${source}]`, '[3]']) {
      const expected = { message: message(() => shards.fromJson(bad)) }
      await assert.rejects(shards.fromJsonAsync(bad), expected)
    }
    await assert.rejects(shards.fromJsonAsync('[1,2]', { maxBytes: 4 }), /limit of 4/)
  })

  it('stops when its signal fires, before and meanwhile', async () => {
    const reason = new Error('enough')
    const aborted = { signal: AbortSignal.abort(reason) }
    await assert.rejects(shards.fromJsonAsync(source, aborted), {
      code: 'ABORT_ERR',
      message: 'Cannot read list of MicroShard: the operation was aborted',
      cause: reason,
    })
    const controller = new AbortController()
    setImmediate(() => controller.abort())
    await assert.rejects(shards.fromJsonAsync(source, controller), AbortError)
  })
})

describe('optional fields', () => {
  const both = record('Both', {
    kept: optional(text),
    left_out: skipNull(u32),
    filled: withDefault(u8, () => 5),
  })

  it('are written as null, or left out, or filled in', () => {
    const value = both.fromJson('{}')
    assert.deepEqual(value, { kept: null, left_out: null, filled: 5 })
    assert.equal(both.toJson(value), '{"kept":null,"filled":5}')
    assert.equal(
      Buffer.from(both.toCbor(value)).toString('hex'),
      'a2646b657074f6' + '6666696c6c656405',
    )
    assert.equal(
      both.toJson({ kept: 'x', left_out: 1, filled: 0 }),
      '{"kept":"x","left_out":1,"filled":0}',
    )
  })

  it('may be null when read, but not a defaulted one', () => {
    assert.deepEqual(both.fromJson('{"kept":null,"left_out":null}'), {
      kept: null,
      left_out: null,
      filled: 5,
    })
    assert.throws(() => both.fromJson('{"filled":null}'), /filled: expected an integer/)
  })

  it('may be undefined when written, as plain JavaScript does', () => {
    assert.equal(both.toJson({} as never), '{"kept":null,"filled":5}')
    assert.throws(
      () => MicroShard.toJson({} as never),
      /microshard_id: expected a string, got nothing/,
    )
  })

  it('appear in the records as the spec has them', () => {
    assert.deepEqual(PythonStateDictFilterConfig.fromJson('{}'), {
      include_globs: [],
      exclude_globs: [],
    })
    assert.equal(DatasetSizing.fromJson('{"total_examples":1,"total_tokens":2}').total_bytes, 0)
    assert.equal(
      LeaseDataPipelineDescriptor.toJson({
        pipeline_name: 'p',
        kind: 'custom',
        input_source: null,
        metadata: {},
      }),
      '{"pipeline_name":"p","kind":"custom","metadata":{}}',
    )
  })
})

describe('numbers', () => {
  it('are written as the field says: 1 in an integer field, 1.0 in a float field', () => {
    const both = record('Both', { count: u32, weight: f64 })
    assert.equal(both.toJson({ count: 1, weight: 1 }), '{"count":1,"weight":1.0}')
    assert.equal(
      Buffer.from(both.toCbor({ count: 1, weight: 1 })).toString('hex'),
      'a265636f756e7401' + '66776569676874f93c00',
    )
  })

  it('are read from an integer token into a float field, but not from a float token into an integer field', () => {
    assert.equal(f64.fromJson('1'), 1)
    assert.equal(f64.fromJson('18446744073709551615'), 2 ** 64)
    assert.throws(() => u32.fromJson('1.0'), /expected an integer from 0 to 4294967295, got 1\.0/)
  })

  it('beyond 2^53 are refused where a number would round them, and exact where a bigint holds them', () => {
    assert.equal(u64.fromJson('9007199254740991'), Number.MAX_SAFE_INTEGER)
    assert.throws(() => u64.fromJson('9007199254740992'), /got 9007199254740992/)
    assert.throws(() => u64.toJson(2 ** 53), /got 9007199254740992$/m)
    assert.equal(u64Exact.fromJson('18446744073709551615'), 2n ** 64n - 1n)
    assert.throws(() => u64Exact.fromJson('18446744073709551616'), ConfigError)
    assert.throws(() => u64Exact.toJson(2n ** 64n), ConfigError)
    assert.throws(() => u64Exact.toJson(1 as never), /as a bigint, got number 1\.0/)
  })

  const misfits: [string, unknown][] = [
    ['a negative number', -1],
    ['a fraction', 0.5],
    ['NaN', NaN],
    ['infinity', Infinity],
    ['2^32', 2 ** 32],
    ['a bigint', 1n],
    ['a string', '1'],
    ['null', null],
    ['undefined', undefined],
    ['an object', {}],
  ]
  for (const [title, value] of misfits) {
    it(`refuse to write ${title} as a u32`, () =>
      assert.throws(() => u32.toCbor(value as number), ConfigError))
  }
})

describe('maps and sets', () => {
  it('are sorted by UTF-8 bytes', () => {
    const keys = ['b', 'a', 'B', '9', '10', '\uffff', '\u{10000}', '']
    const value = Object.fromEntries(keys.map((key) => [key, key]))
    const sorted = ['', '10', '9', 'B', 'a', 'b', '\uffff', '\u{10000}']
    assert.deepEqual([...(map(text).toWire(value) as Map<string, string>).keys()], sorted)
    assert.deepEqual(textSet().fromValue([...keys, 'a']), sorted)
    assert.equal(textSet().toJson(['b', 'a', 'b']), '["a","b"]')
  })

  it('order texts as their UTF-8 bytes are ordered', () => {
    fc.assert(
      fc.property(texts, texts, (a, b) => {
        const points = (value: string) => Array.from(value, (point) => point.codePointAt(0) ?? 0)
        const [x, y] = [points(a), points(b)]
        const at = x.findIndex((point, index) => point !== y[index])
        const byPoints = at === -1 ? x.length - y.length : (x[at] ?? 0) - (y[at] ?? -1)
        assert.equal(Math.sign(compareUtf8(a, b)), Math.sign(byPoints))
      }),
      { numRuns: runs(100) },
    )
  })

  it('keep __proto__ as a key without touching the prototype', () => {
    const read = Metrics.fromJson('{"__proto__":1.0,"loss":2.0}')
    assert.equal(Object.getPrototypeOf(read), Object.prototype)
    assert.deepEqual(Object.entries(read), [
      ['__proto__', 1],
      ['loss', 2],
    ])
    assert.equal(Metrics.toJson(read), '{"__proto__":1.0,"loss":2.0}')
  })

  it('refuse texts with a lone surrogate, as keys and as values', () => {
    assert.throws(() => map(text).toCbor({ '\ud800': 'x' }), /lone surrogate/)
    assert.throws(() => map(text).toJson({ x: 'a\udc00' }), /x: .*lone surrogate/)
  })

  it('refuse a list where a map belongs, and a map where a list belongs', () => {
    assert.throws(() => map(text).fromJson('[]'), /expected an object, got an array of 0/)
    assert.throws(() => list(text).fromJson('{}'), /expected an array, got an object/)
    assert.throws(() => map(text).toJson([] as never), ConfigError)
    assert.throws(() => list(text).toJson({} as never), ConfigError)
  })
})

describe('tuples', () => {
  const pair = tuple('pair', text, u8)

  it('are lists of fixed length', () => {
    assert.equal(pair.toJson(['a', 1]), '["a",1]')
    assert.deepEqual(pair.fromJson('["a",1]'), ['a', 1])
    assert.throws(() => pair.fromJson('["a"]'), ConfigError)
    assert.throws(() => pair.fromJson('["a",1,2]'), ConfigError)
    assert.throws(() => pair.toCbor(['a', 256]), /\[1\]: expected an integer/)
  })
})

describe('any head', () => {
  const metric = fc.oneof<fc.Arbitrary<MetricValue>[]>(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    finiteFloats,
    fc.boolean(),
    texts,
  )
  const heads: fc.Arbitrary<HeadDescriptor> = fc.record(
    {
      head_id: texts,
      study_id: texts,
      experiment_id: texts,
      revision_id: texts,
      artifact_id: texts,
      parent_head_id: fc.option(texts),
      global_step: fc.nat(),
      created_at: fc.constant('2026-01-02T03:04:05.678Z'),
      metrics: fc.array(fc.tuple(texts, metric)).map((entries) => Object.fromEntries(entries)),
    },
    { noNullPrototype: true },
  )

  it('comes back from JSON as it was, kinds of numbers included', () => {
    fc.assert(
      fc.property(heads, fc.boolean(), (head, pretty) => {
        const read = HeadDescriptor.fromJson(HeadDescriptor.toJson(head, { pretty }))
        assert.deepEqual(read, head)
        assert.deepEqual(HeadDescriptor.toCbor(read), HeadDescriptor.toCbor(head))
      }),
      { numRuns: runs(300) },
    )
  })
})

describe('hostile ids', () => {
  for (const id of ['../../etc/passwd', 'a\0b', 'x'.repeat(300), '__proto__']) {
    it(`such as ${JSON.stringify(id.slice(0, 20))} are legal in a record, which keeps them exactly`, () => {
      const descriptor: ArtifactDescriptor = {
        artifact_id: id,
        kind: 'FullHead',
        head_id: id,
        base_head_id: null,
        precision: 'Fp32',
        model_schema_hash: id,
        record_format: 'x',
        bytes_len: 0,
        chunks: [],
        root_hash: id,
      }
      assert.deepEqual(
        ArtifactDescriptor.fromJson(ArtifactDescriptor.toJson(descriptor)),
        descriptor,
      )
    })
  }
})
