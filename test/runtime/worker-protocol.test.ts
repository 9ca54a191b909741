/** The worker protocol without a process: frames, values as Python's JSON, responses. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { ProtocolError } from '../../lib/errors.js'
import { PyFloat, type PyInput } from '../../lib/index.js'
import { readResponse, requestFrame } from '../../lib/runtime/process/protocol.js'
import { FrameReader, FrameTooLarge, frameOf } from '../../lib/runtime/process/protocol-frames.js'
import { readPythonJson } from '../../lib/runtime/process/protocol-read.js'
import { RefusedValue } from '../../lib/runtime/conversion-error.js'
import { writePythonJson } from '../../lib/runtime/process/protocol-write.js'
import { runs } from '../support/runs.js'

const read = (text: string) => readPythonJson(Buffer.from(text))

describe('a frame', () => {
  it('is the length in eight big-endian bytes, then UTF-8', () => {
    assert.deepEqual([...frameOf('é')], [0, 0, 0, 0, 0, 0, 0, 2, 0xc3, 0xa9])
  })

  it('of a request holds id, method and params', () => {
    const frame = requestFrame(7, 'say "hi"', '{"a":1.0}')
    assert.equal(
      frame.subarray(8).toString(),
      '{"id":7,"method":"say \\"hi\\"","params":{"a":1.0}}',
    )
  })

  it('comes out as it went in, however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1 }),
        (texts, cuts) => {
          const stream = Buffer.concat(texts.map(frameOf))
          const reader = new FrameReader(1000)
          const got: string[] = []
          for (let at = 0, i = 0; at < stream.length; i++) {
            const size = cuts[i % cuts.length]!
            for (const frame of reader.push(stream.subarray(at, at + size))) {
              got.push(frame.toString())
            }
            at += size
          }
          assert.deepEqual(got, texts)
          assert.equal(reader.hasPart, false)
        },
      ),
      { numRuns: runs(100) },
    )
  })

  it('beyond the limit is refused at its header, and one at the limit is not', () => {
    const reader = new FrameReader(3)
    assert.deepEqual([...reader.push(frameOf('abc'))].map(String), ['abc'])
    const header = Buffer.alloc(8)
    header.writeBigUInt64BE(2n ** 64n - 1n)
    assert.throws(
      () => [...reader.push(header)],
      (error: unknown) => {
        assert.ok(error instanceof FrameTooLarge)
        assert.equal(error.announced, 2n ** 64n - 1n)
        return true
      },
    )
  })

  it('that comes before one beyond the limit still comes', () => {
    const reader = new FrameReader(3)
    const frames = reader.push(Buffer.concat([frameOf('abc'), frameOf('abcd')]))
    assert.equal(String(frames.next().value), 'abc')
    assert.throws(() => frames.next(), FrameTooLarge)
  })
})

describe('writing values', () => {
  const rows: [string, PyInput, string][] = [
    ['undefined is null', undefined, 'null'],
    ['a whole number is an integer', 3, '3'],
    ['a whole number beyond the safe integers is a float', 2 ** 53, '9007199254740992.0'],
    ['a float with an exponent stays one', 1e21, '1e+21'],
    ['a small float stays one', 5e-324, '5e-324'],
    ['minus zero is a float', -0, '-0.0'],
    ['NaN has a token', NaN, 'NaN'],
    ['infinities have tokens', [Infinity, -Infinity], '[Infinity,-Infinity]'],
    ['a PyFloat is a float', [new PyFloat(1), new PyFloat(-0), new PyFloat(NaN)], '[1.0,-0.0,NaN]'],
    ['a bigint has all its digits', 2n ** 70n, '1180591620717411303424'],
    ['a lone surrogate is an escape', '\ud800', '"\\ud800"'],
    ['a hole is null', Array<PyInput>(2), '[null,null]'],
    ['an undefined property is left out', { a: undefined, b: null }, '{"b":null}'],
    ['a symbol key is left out', Object.assign({ b: 1 }, { [Symbol('a')]: 1 }), '{"b":1}'],
    [
      'a Map keeps its order',
      new Map([
        ['2', 1],
        ['1', 2],
      ]),
      '{"2":1,"1":2}',
    ],
    [
      'a Date has three digits or none',
      [new Date(250), new Date(0)],
      '["1970-01-01T00:00:00.250Z","1970-01-01T00:00:00Z"]',
    ],
  ]
  for (const [title, value, expected] of rows) {
    it(title, () => assert.equal(writePythonJson(value), expected))
  }

  it('refuses a PyFloat without a number, as JavaScript lets one be made', () => {
    const none = new PyFloat('1' as unknown as number)
    assert.throws(
      () => writePythonJson({ a: none }),
      new RefusedValue('a PyFloat must hold a number').within('a'),
    )
  })

  it('passes an object that is shared and not circular', () => {
    const shared = { x: 1 }
    assert.equal(writePythonJson([shared, [shared]]), '[{"x":1},[{"x":1}]]')
  })
})

describe('reading values', () => {
  it('gives what JSON.parse gives, integers aside', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom('', ' ', '\t\n\r '), (json, space) => {
        // Floats alone: JSON.parse does not say which of its numbers were integers.
        const text = json.replace(/(?<![\w.+\\"-])-?\d+(?![\d.eE])(?=[,\]}]|$)/g, 'null')
        const spaced = `${space}${text}${space}`
        assert.deepEqual(read(spaced), plain(JSON.parse(spaced)))
      }),
      { numRuns: runs(100) },
    )
  })

  const rows: [string, unknown][] = [
    ['1', 1n],
    ['-0', 0n],
    ['1.0', 1],
    ['-0.0', -0],
    ['1e2', 100],
    ['1E-2', 0.01],
    ['123456789012345678901234567890', 123456789012345678901234567890n],
    ['NaN', NaN],
    ['[Infinity, -Infinity]', [Infinity, -Infinity]],
    ['"\\ud800\\u00e9\\n\\\\"', '\ud800é\n\\'],
    ['"\\\\"', '\\'],
    ['"é😀"', 'é😀'],
    [' { } ', {}],
    ['[ ]', []],
    ['{"a":[1,{"b":null}],"c":true}', { a: [1n, { b: null }], c: true }],
  ]
  for (const [text, expected] of rows) {
    it(`understands ${text}`, () => assert.deepEqual(read(text), expected))
  }

  it('makes an ordinary property of a key __proto__', () => {
    const object = read('{"__proto__": {"polluted": 1}}') as object
    assert.equal(Object.getPrototypeOf(object), Object.prototype)
    assert.deepEqual(Object.keys(object), ['__proto__'])
  })

  const refused = [
    '',
    ' ',
    'nul',
    'nullx',
    'True',
    'nan',
    '+1',
    '01',
    '1.',
    '.5',
    '1e',
    '-',
    '--1',
    '0x1',
    '- 1',
    '"',
    '"\\"',
    '"\\x"',
    '"\n"',
    "'a'",
    '[',
    ']',
    '[1',
    '[1,',
    '[1,]',
    '[,1]',
    '[1 2]',
    '{',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,}',
    '{,}',
    '{a:1}',
    '{1:1}',
    '{"a" 1}',
    '{"a":1,"a":1}',
    '1 2',
    '[]]',
    '\ufeff1',
    '/**/1',
    'undefined',
  ]
  for (const text of refused) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => read(text), SyntaxError))
  }

  it('refuses deep nesting and long integers, and takes what is just within', () => {
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
    assert.ok(read(nested(129)))
    assert.throws(() => read(nested(130)), /nested deeper than 129 levels/)
    assert.equal(read('9'.repeat(4300)), BigInt('9'.repeat(4300)))
    assert.throws(() => read('9'.repeat(5000)), /5000 digits/)
  })

  it('never throws anything but a SyntaxError, whatever the bytes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc
            .array(fc.constantFrom(...'[]{}",:\\0123456789.eE+-nultrufasNI '.split('')), {
              maxLength: 40,
            })
            .map((pieces) => Buffer.from(pieces.join(''))),
        ),
        (bytes) => {
          try {
            readPythonJson(bytes)
          } catch (error) {
            assert.ok(error instanceof SyntaxError, String(error))
          }
        },
      ),
      { numRuns: runs(2000) },
    )
  })

  it('gives back what was written', () => {
    const value = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constant(null),
        fc.boolean(),
        fc.bigInt(),
        fc.double().filter((float) => !Number.isSafeInteger(float) || Object.is(float, -0)),
        fc.string({ unit: 'binary' }),
        fc.array(tie('value')),
        fc.dictionary(fc.string({ unit: 'binary' }), tie('value')),
      ),
    })).value
    fc.assert(
      fc.property(value, (sent) => {
        assert.deepEqual(read(writePythonJson(sent as PyInput)), plain(sent))
      }),
      { numRuns: runs(100) },
    )
  })
})

/** With the prototype that the reader gives; fast-check's dictionaries may have none. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const object = {}
  for (const [key, item] of Object.entries(value)) {
    const field = { value: plain(item), enumerable: true, writable: true, configurable: true }
    Object.defineProperty(object, key, field)
  }
  return object
}

describe('a response', () => {
  const response = (text: string) => {
    const { id, ...rest } = readResponse(Buffer.from(text), 5, 'evaluate')
    assert.equal(id, 5)
    return rest
  }

  it('without a result has the result null', () => {
    assert.deepEqual(response('{"id": 5, "ok": true}'), { ok: true, result: null })
  })

  it('of our worker carries the facts of a failure', () => {
    const failure = { code: 'ERR_VALUE', message: 'm', python_type: 'T', traceback: 't', path: 'p' }
    const text = JSON.stringify({ id: 5, ok: false, error: 'e', failure })
    assert.deepEqual(response(text), {
      ok: false,
      failure: {
        code: 'ERR_VALUE',
        message: 'm',
        pythonType: 'T',
        traceback: 't',
        path: 'p',
        stateChanged: undefined,
      },
    })
  })

  it('with a malformed failure counts as a third-party one', () => {
    for (const failure of [null, 1, [], { code: 1 }, { code: 'ERR_VALUE', message: 'm' }]) {
      const text = JSON.stringify({ id: 5, ok: false, error: 'out of order', failure })
      assert.deepEqual(response(text), {
        ok: false,
        failure: {
          code: 'ERR_HOOK_RAISED',
          message: 'out of order',
          pythonType: '',
          traceback: '',
          path: '',
        },
      })
    }
  })

  it('of a third-party worker gives type and traceback from its text', () => {
    const traceback = [
      'Traceback (most recent call last):',
      '  File "worker.py", line 1, in handle',
      '    raise torch.cuda.OutOfMemoryError("no memory\\nleft")',
      'torch.cuda.OutOfMemoryError: no memory',
      'left',
      '',
    ].join('\n')
    const error = `no memory\nleft\n${traceback}`
    assert.deepEqual(response(JSON.stringify({ id: 5, ok: false, error })), {
      ok: false,
      failure: {
        code: 'ERR_HOOK_RAISED',
        message: 'no memory\nleft',
        pythonType: 'torch.cuda.OutOfMemoryError',
        traceback,
        path: '',
      },
    })
  })

  it('to another request, or without an id, is refused', () => {
    for (const id of ['4', '6', '"5"', '5.0', 'true', 'null', '[5]']) {
      assert.throws(() => response(`{"id": ${id}, "ok": true}`), ProtocolError)
    }
  })
})
