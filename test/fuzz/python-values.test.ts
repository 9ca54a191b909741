/** What Python code may return, however it was made: it crosses, or a typed error says why not. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  EmbeddedRuntime,
  SubprocessRuntime,
  TorchbedError,
  type PythonRuntime,
  type WorkloadSession,
} from '../../lib/index.js'
import { runs } from '../support/runs.js'
import { workloadRoot, withTorch } from '../support/workloads.js'
import { asSent } from './as-sent.js'
import { holds } from './holds.js'

/** Expressions of Python; `h` is the module hostile_values. */
const LEAVES = [
  ...['None', 'True', '0', '-1', '2**53', '-2**63', '2**64', '10**400', '-10**4299', '10**4301'],
  ...['0.0', '-0.0', '1e308', '5e-324', 'float("nan")', 'float("-inf")', '1j', '...', 'object()'],
  ...['""', '"a\\0b"', '"\\ud800"', '"\\udc00\\ud800"', '"\\U0010ffff"', '"x" * 100000', 'b""'],
  ...['b"\\xff" * 9', 'bytearray(3)', 'range(3)', 'set()', 'frozenset([1])', 'iter([])', 'int'],
  ...[
    'len',
    'h',
    '(lambda: 1)',
    '(i for i in [1])',
    'Exception("x")',
    'slice(1)',
    'NotImplemented',
  ],
  ...['memoryview(b"abcd")', 'memoryview(b"abcd")[::2]', 'memoryview(b"abcd").cast("H")'],
  ...[
    'memoryview(b"abcd").cast("B", [2, 2])',
    'memoryview(bytearray(16)).cast("P")',
    'h.released()',
  ],
  ...[
    'memoryview(__import__("array").array("d", [1]))',
    'memoryview(b"")',
    'memoryview(b"ab")[::-1]',
  ],
  ...['memoryview(__import__("ctypes").c_double(1))', '__import__("array").array("u", "ab")'],
  ...['h.HostileText("x")', 'h.HostileInt(5)', 'h.HostileFloat(0.5)', 'h.HostileBytes(b"x")'],
  ...[
    'h.Faceless()',
    'h.Unnamed()',
    'h.Vandal()',
    'h.HostileList([1, [2]])',
    'h.Shrinking([1, 2, 3])',
  ],
  ...['h.HostileTuple((1, 2))', 'h.HostileDict(a=1)', 'h.HostileDict({1: 2, None: 3})'],
  ...['h.list_around_itself()', 'h.dict_around_itself()', 'h.nested(120)', 'h.nested(127)'],
  ...[
    'h.nested(129)',
    'h.nested(5000)',
    'h.nested(126, {1: 1, "1": 2})',
    'type("x" * 5000, (), {})()',
  ],
  ...['__import__("collections").OrderedDict(a=1)', '__import__("collections").Counter("ab")'],
  ...[
    '__import__("collections").namedtuple("N", "a b")(1, 2)',
    '__import__("enum").IntEnum("E", "A")(1)',
  ],
  ...['__import__("decimal").Decimal("NaN")', '__import__("fractions").Fraction(1, 3)'],
  ...['__import__("datetime").date.max', '__import__("types").MappingProxyType({})'],
]

const NUMPY = [
  ...[
    'float16("nan")',
    'float32(1.5)',
    'float64(-0.0)',
    'longdouble(1)',
    'complex64(1)',
    'bool_(1)',
  ],
  ...[
    'int8(-1)',
    'uint64(2**64 - 1)',
    'str_("é")',
    'bytes_(b"x")',
    'datetime64("NaT")',
    'arange(3)',
  ],
  ...['array(1)', 'timedelta64(1, "s")', 'void(b"ab")', 'object_("x")', 'zeros((2, 2))[::, 1]'],
].map((text) => `__import__("numpy").${text}`)

const KEYS = [
  ...[
    '"a"',
    '"__proto__"',
    '"constructor"',
    '""',
    '"\\ud800"',
    '1',
    '1.5',
    '2**70',
    'True',
    'None',
  ],
  ...[
    'float("nan")',
    'b"a"',
    '(1, 2)',
    'h.HostileText("k")',
    'h.HostileInt(5)',
    'frozenset()',
    'int',
  ],
]

const value = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom(...LEAVES, ...(withTorch ? NUMPY : [])),
    list(tie('value')).map((items) => `[${items}]`),
    list(tie('value')).map((items) => `h.hold([${items}])`),
    list(tie('value')).map((items) => `h.HostileList([${items}])`),
    list(tie('value')).map((items) => `h.Shrinking([${items}])`),
    list(tie('value')).map((items) => `h.HostileTuple([${items}])`),
    pairs(tie('value')).map((items) => `{${items}}`),
    pairs(tie('value')).map((items) => `h.hold({${items}})`),
    pairs(tie('value')).map((items) => `h.HostileDict({${items}})`),
  ),
})).value

function list(item: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.array(item, { maxLength: 4 }).map((items) => items.join())
}

function pairs(item: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .array(fc.tuple(fc.constantFrom(...KEYS), item), { maxLength: 4 })
    .map((all) => all.map(([key, text]) => `${key}:${text}`).join())
}

const RUNTIMES: Readonly<Record<string, () => Promise<PythonRuntime>>> = {
  'in this process': () => EmbeddedRuntime.start(),
  'in a process of its own': () => SubprocessRuntime.start(),
}

for (const [name, start] of Object.entries(RUNTIMES)) {
  describe(`hostile Python objects, ${name}`, () => {
    let runtime: PythonRuntime
    let session: WorkloadSession
    before(async () => {
      runtime = await start()
      const spec = { factory: 'value_probe:create_workload', moduleSearchRoots: [workloadRoot] }
      session = await runtime.openWorkload(spec)
    })
    after(() => runtime.close())

    it('cross and are read the same when they are sent back, or are refused with a typed error; the next call works', async function () {
      this.timeout(600_000)
      const tally = { crossed: 0, refused: 0 }
      await holds(runs(400), value, async (text) => {
        const expression = `[h := __import__("hostile_values"), ${text}][1]`
        try {
          const result = await session.call('probe', { expression, value: null })
          tally.crossed += 1
          const value = [asSent(result)]
          assert.deepEqual(await session.call('probe', { expression: 'value[0]', value }), result)
        } catch (error) {
          assert.ok(error instanceof TorchbedError, String(error))
          assert.ok(CODES.includes(error.code), error.message)
          tally.refused += 1
        }
        assert.equal(await session.call('probe', { expression: '6 * 7', value: null }), 42n)
      })
      const { crossed, refused } = tally
      assert.ok(Math.min(crossed, refused) > (crossed + refused) / 50, JSON.stringify(tally))
    })
  })
}

/** A value that cannot cross; code of the value that raised. */
const CODES = ['ERR_VALUE', 'ERR_PYTHON_HOST']
