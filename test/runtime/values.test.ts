/** The conversion table of docs/reference/values.md: one test a row, in both directions. */
import assert from 'node:assert/strict'
import {
  EmbeddedRuntime,
  PyFloat,
  ValueError,
  type PyInput,
  type PyValue,
  type WorkloadSession,
} from '../../lib/index.js'
import { withTorch, workloadRoot } from '../support/workloads.js'

let runtime: EmbeddedRuntime
let session: WorkloadSession

before(async () => {
  runtime = await EmbeddedRuntime.start()
  session = await runtime.openWorkload({
    factory: 'value_probe:create_workload',
    moduleSearchRoots: [workloadRoot],
  })
})
after(() => runtime.close())

function probe(expression: string, value: unknown = null): Promise<PyValue> {
  return session.call('probe', { expression, value: value as PyInput })
}

async function refusal(run: Promise<unknown>): Promise<ValueError> {
  const error: unknown = await run.then(
    () => assert.fail('nothing was refused'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof ValueError, String(error))
  assert.equal(error.code, 'ERR_VALUE')
  return error
}

const circle: Record<string, unknown> = {}
circle.inner = [circle]

const sparse: number[] = []
sparse[2] = 7

describe('JavaScript to Python', () => {
  const rows: [string, unknown, string][] = [
    ['undefined is None', undefined, 'None'],
    ['null is None', null, 'None'],
    ['true is True', true, 'True'],
    ['false is False', false, 'False'],
    ['a whole number is an int', 3, '3'],
    ['the largest safe integer is an int', Number.MAX_SAFE_INTEGER, '9007199254740991'],
    ['a whole number beyond the safe integers is a float', 2 ** 53, '9007199254740992.0'],
    ['a fraction is a float', 0.1, '0.1'],
    ['a negative whole number is an int', -7, '-7'],
    ['minus zero is a float', -0, '-0.0'],
    ['NaN is a float', NaN, 'nan'],
    ['infinity is a float', Infinity, 'inf'],
    ['minus infinity is a float', -Infinity, '-inf'],
    ['a PyFloat is a float although it is whole', new PyFloat(1), '1.0'],
    ['a bigint is an int', 5n, '5'],
    ['a bigint at the end of 64 bits is an int', -(2n ** 63n), '-9223372036854775808'],
    ['a bigint beyond 64 bits is an int', 2n ** 64n + 1n, '18446744073709551617'],
    ['a negative bigint beyond 64 bits is an int', -(2n ** 130n), `-${2n ** 130n}`],
    ['an empty string is an empty str', '', "''"],
    ['a string with NUL inside is a str', 'a\0b', "'a\\x00b'"],
    ['an astral character is one character', '😀', "'😀'"],
    ['a lone surrogate stays what it is', '\ud800x', "'\\ud800x'"],
    ['a long string is a str', 'ä'.repeat(1000), `'${'ä'.repeat(1000)}'`],
    ['an array is a list', [1, [2, 'x']], "[1, [2, 'x']]"],
    ['an empty array is a list', [], '[]'],
    ['a hole in an array is None', sparse, '[None, None, 7]'],
    [
      'a plain object is a dict in its own order',
      { b: 1, a: { c: null } },
      "{'b': 1, 'a': {'c': None}}",
    ],
    [
      'an object without prototype is a dict',
      Object.assign(Object.create(null), { a: 1 }),
      "{'a': 1}",
    ],
    ['a property that is undefined is left out', { a: undefined, b: 1 }, "{'b': 1}"],
    ['a key named __proto__ is a key', JSON.parse('{"__proto__": 1}'), "{'__proto__': 1}"],
    [
      'a Map is a dict, with any simple key',
      new Map<unknown, unknown>([
        ['a', 1],
        [2, 'b'],
        [null, 0.5],
      ]),
      "{'a': 1, 2: 'b', None: 0.5}",
    ],
    ['a Uint8Array is bytes', new Uint8Array([0, 255]), "b'\\x00\\xff'"],
    ['an empty Uint8Array is bytes', new Uint8Array(0), "b''"],
    ['a Buffer is bytes', Buffer.from('abc'), "b'abc'"],
    ['a slice is its own bytes only', Buffer.from('abcdef').subarray(2, 4), "b'cd'"],
    ['an ArrayBuffer is bytes', new Uint8Array([1, 2]).buffer, "b'\\x01\\x02'"],
    ['a DataView is bytes', new DataView(new Uint8Array([1, 2, 3]).buffer, 1), "b'\\x02\\x03'"],
    [
      'a Date is the timestamp text of the formats',
      new Date(1767323045250),
      "'2026-01-02T03:04:05.250Z'",
    ],
    ['a Date at a whole second has no fraction', new Date(1767323045000), "'2026-01-02T03:04:05Z'"],
  ]
  for (const [title, value, expected] of rows) {
    it(title, async () => assert.equal(await probe('repr(value)', value), expected))
  }

  it('a view over a SharedArrayBuffer is bytes', async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(2))
    shared.set([7, 8])
    assert.equal(await probe('repr(value)', shared), "b'\\x07\\x08'")
  })

  const views: [ArrayBufferView, string, string][] = [
    [new Float32Array([0.5, -1]), 'f', '[0.5, -1.0]'],
    [new Float64Array([0.1]), 'd', '[0.1]'],
    [new Int8Array([-1]), 'b', '[-1]'],
    [new Int16Array([-2]), 'h', '[-2]'],
    [new Uint16Array([65535]), 'H', '[65535]'],
    [new Int32Array([-3]), 'i', '[-3]'],
    [new Uint32Array([4294967295]), 'I', '[4294967295]'],
    [new BigInt64Array([-4n]), 'q', '[-4]'],
    [new BigUint64Array([2n ** 64n - 1n]), 'Q', '[18446744073709551615]'],
  ]
  for (const [view, format, expected] of views) {
    it(`a ${view.constructor.name} is a memoryview of format ${format}`, async () => {
      assert.equal(await probe('value.format', view), format)
      assert.equal(await probe('repr(value.tolist())', view), expected)
    })
  }

  const refused: [string, unknown, RegExp, string][] = [
    ['a function', { a: [() => 1] }, /a function cannot be passed/, 'value.a[0]'],
    ['a symbol', [Symbol('x')], /a symbol cannot be passed/, 'value[0]'],
    [
      'a class instance',
      { batches: [1, { payload: { x: new URL('http://a') } }] },
      /instance of URL/,
      'value.batches[1].payload.x',
    ],
    ['process.env', { config: process.env }, /pass \{ \.\.\.process\.env \}/, 'value.config'],
    [
      'an unnamed class',
      new (class extends URL {})('http://a'),
      /instance of an unnamed class/,
      'value',
    ],
    ['a Set', new Set([1]), /instance of Set/, 'value'],
    ['a Promise', { 'odd key': Promise.resolve() }, /instance of Promise/, 'value["odd key"]'],
    ['an Error', new Error('x'), /instance of Error/, 'value'],
    ['an invalid Date', [new Date(NaN)], /invalid Date/, 'value[0]'],
    ['a Map with an object as key', new Map([[{}, 1]]), /Map key must be/, 'value'],
    [
      'a Map with keys that are one key in Python',
      new Map<unknown, number>([
        [1, 1],
        [true, 2],
      ]),
      /same key in Python/,
      'value',
    ],
  ]
  for (const [title, value, message, path] of refused) {
    it(`${title} is refused with its place`, async () => {
      const error = await refusal(probe('1', value))
      assert.match(error.message, message)
      assert.equal(error.path, path)
    })
  }

  it('an object that contains itself is refused', async () => {
    const error = await refusal(probe('1', circle))
    assert.match(error.message, /contains itself/)
    assert.match(error.path, /^value\.inner\[0\]/)
  })

  it('nesting beyond 128 levels is refused, and up to there passes', async () => {
    const nested = (levels: number) => {
      let value: unknown = 1
      for (let i = 0; i < levels; i++) value = [value]
      return value
    }
    assert.match((await refusal(probe('1', nested(128)))).message, /deeper than 128 levels/)
    // The parameters themselves are the outermost level.
    assert.equal(await probe('1', nested(127)), 1n)
  })

  it('a transferred buffer is refused', async () => {
    const bytes = new Uint8Array(8)
    structuredClone(bytes, { transfer: [bytes.buffer] })
    assert.match((await refusal(probe('1', bytes))).message, /transferred away/)
  })

  it('what a getter throws is the cause of the error', async () => {
    const cause = new Error('from the getter')
    const value = {
      get a(): number {
        throw cause
      },
    }
    assert.equal((await refusal(probe('1', value))).cause, cause)
  })

  it('an object that is shared, not circular, passes', async () => {
    const shared = { x: 1 }
    assert.equal(await probe('repr(value)', [shared, shared]), "[{'x': 1}, {'x': 1}]")
  })
})

describe('Python to JavaScript', () => {
  const rows: [string, string, PyValue][] = [
    ['None is null', 'None', null],
    ['True is true', 'True', true],
    ['an int is a bigint', '1', 1n],
    ['a float is a number although it is whole', '1.0', 1],
    ['minus zero stays', '-0.0', -0],
    ['NaN is NaN', 'nan', NaN],
    ['infinity is Infinity', 'float("inf")', Infinity],
    ['an int beyond 64 bits is a bigint', '2**64 + 1', 2n ** 64n + 1n],
    ['a negative int beyond 64 bits is a bigint', '-(2**130)', -(2n ** 130n)],
    ['the smallest 64-bit int is a bigint', '-2**63', -(2n ** 63n)],
    ['an empty str is an empty string', "''", ''],
    ['a str with NUL inside is a string', "'a\\0b'", 'a\0b'],
    ['an astral character is a surrogate pair', "'\\U0001f600'", '😀'],
    ['a lone surrogate stays what it is', "'\\ud800x'", '\ud800x'],
    ['bytes are a Uint8Array', "b'\\x00\\xff'", new Uint8Array([0, 255])],
    ['a bytearray is a Uint8Array', "bytearray(b'ab')", new Uint8Array([97, 98])],
    ['a memoryview is a Uint8Array', "memoryview(b'abcd')[1:3]", new Uint8Array([98, 99])],
    ['a list is an array', '[1, [2.5]]', [1n, [2.5]]],
    ['a tuple is an array', '(1, "x")', [1n, 'x']],
    ['a dict is an object in its own order', '{"b": 1, "a": {}}', { b: 1n, a: {} }],
    ['an int enum is a bigint', '__import__("enum").IntEnum("E", "A").A', 1n],
    [
      'a dict with other keys is a Map',
      '{1: "a", None: 2.0}',
      new Map<PyValue, PyValue>([
        [1n, 'a'],
        [null, 2],
      ]),
    ],
  ]
  for (const [title, expression, expected] of rows) {
    it(title, async () => assert.deepEqual(await probe(expression), expected))
  }

  it('the order of a dict is the order of the object', async () => {
    assert.deepEqual(Object.keys((await probe('{"z": 1, "a": 2}')) as object), ['z', 'a'])
  })

  it('a key named __proto__ is an own property and changes no prototype', async () => {
    const object = (await probe('{"__proto__": {"polluted": 1}}')) as object
    assert.equal(Object.getPrototypeOf(object), Object.prototype)
    assert.deepEqual(Object.keys(object), ['__proto__'])
  })

  it('bytes belong to JavaScript and can be transferred', async () => {
    const bytes = (await probe("b'abc'")) as Uint8Array
    const moved = structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] })
    assert.deepEqual(moved, new Uint8Array([97, 98, 99]))
    assert.equal(bytes.length, 0)
  })

  const refused: [string, string, RegExp, string][] = [
    ['a set', '{"a": [{1}]}', /a set cannot be passed to JavaScript; return a list/, 'a[0]'],
    ['an object', '[object()]', /a object cannot be passed/, '[0]'],
    ['a function', 'len', /cannot be passed/, ''],
    ['a complex number', '1j', /a complex cannot be passed/, ''],
    ['a dict key that is a tuple', '{(1, 2): 3}', /dict key of class tuple/, ''],
    [
      'a dict with two NaN, which are one key of a Map,',
      '{float("nan"): 1, float("nan"): 2}',
      /two keys that are the same key in a Map/,
      '',
    ],
    [
      'a dict with two keys of one text',
      '{"a": 1, type("S", (str,), {"__hash__": lambda s: 7, "__eq__": lambda s, o: False})("a"): 2}',
      /two keys of the same text/,
      '',
    ],
    ['a list that contains itself', '(lambda a: a.append(a) or a)([])', /contains itself/, '[0]'],
    ['a memoryview that is not contiguous', "memoryview(b'abcd')[::2]", /not contiguous/, ''],
  ]
  for (const [title, expression, message, path] of refused) {
    it(`${title} is refused with its place`, async () => {
      const error = await refusal(probe(expression))
      assert.match(error.message, message)
      assert.equal(error.path, path)
    })
  }

  it('nesting beyond 128 levels is refused', async () => {
    const nest = '__import__("functools").reduce(lambda inner, _: [inner], range(200), 1)'
    assert.match((await refusal(probe(nest))).message, /deeper than 128 levels/)
  })

  it('refuses bytes that do not fit into memory, and the process lives', async () => {
    const view = 'memoryview((__import__("ctypes").c_char * (1 << 61)).from_address(4096))'
    assert.match(
      (await refusal(probe(view))).message,
      /: 2305843009213693952 bytes do not fit into/,
    )
  })

  it('refuses what JavaScript itself throws for, and later calls are answered', async () => {
    const own = Object.getOwnPropertyDescriptor(Map.prototype, 'set') ?? {}
    try {
      const answer = probe('{1: 2}')
      Map.prototype.set = () => {
        throw new RangeError('Map maximum size exceeded')
      }
      const error = await refusal(answer)
      assert.match(error.message, /JavaScript refuses it: Map maximum size exceeded/)
    } finally {
      Object.defineProperty(Map.prototype, 'set', own)
    }
    assert.deepEqual(await probe('{1: 2}'), new Map([[1n, 2n]]))
  })

  describe('numpy scalars', () => {
    const scalars: [string, PyValue][] = [
      ['float64(0.5)', 0.5],
      ['float32(0.5)', 0.5],
      ['int64(7)', 7n],
      ['uint8(7)', 7n],
      ['bool_(True)', true],
      ['str_("x")', 'x'],
    ]
    for (const [scalar, expected] of scalars) {
      const test = withTorch ? it : it.skip
      test(`numpy.${scalar} is what its item() is`, async () => {
        assert.deepEqual(await probe(`__import__("numpy").${scalar}`), expected)
      })
    }
    ;(withTorch ? it : it.skip)('an array is refused with a remedy', async () => {
      const error = await refusal(probe('[__import__("numpy").zeros(3)]'))
      assert.match(
        error.message,
        /numpy\.ndarray cannot be passed to JavaScript; return \.item\(\)/,
      )
      assert.equal(error.path, '[0]')
    })
    ;(withTorch ? it : it.skip)('a tensor is refused with a remedy', async () => {
      const error = await refusal(probe('__import__("torch").zeros(3)'))
      assert.match(error.message, /torch\.Tensor cannot be passed to JavaScript/)
    })
  })
})
