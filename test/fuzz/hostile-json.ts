/** JSON as an enemy would send it: bytes that are nearly a valid record, and bytes that are nothing at all. */
import fc from 'fast-check'

/** Values that belong nowhere, or lie at the edge of what belongs. */
const ODD_VALUES = [
  ...['null', 'true', '0', '-0', '-1', '1.0', '1.5', '1e3', '1e308', '1e309', '-1e400', '5e-324'],
  ...['4294967295', '4294967296', '9007199254740991', '9007199254740992', '9007199254740993'],
  ...['9223372036854775807', '-9223372036854775808', '-9223372036854775809'],
  ...['18446744073709551615', '18446744073709551616', '9'.repeat(400), `0.${'3'.repeat(400)}`],
  ...['""', '"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"\\u00e9"', '"é"'],
  ...['"../../etc/passwd"', '"a/b"', '"C:\\\\x"', '"__proto__"', '"1e999"', '"NaN"', 'NaN', '-'],
  ...['"9999-12-31T23:59:59.999999999Z"', '"2026-02-30T00:00:00Z"', '"2026-01-02T03:04:05+99:99"'],
  ...['[]', '[[]]', '{}', '[null]', '{"Custom":"x"}', '{"Custom":1}', '{"":0}', '"x"', "'x'"],
  ...['{"__proto__":{"polluted":true}}', '{"constructor":{"prototype":{"polluted":true}}}'],
  ...['[1,2,3,4]', '[256]', '[-1]', '[0.5]', '{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '/* */', ''],
  ...['['.repeat(126) + ']'.repeat(126), '['.repeat(200) + ']'.repeat(200), '['.repeat(2000)],
  ...['{"a":'.repeat(130) + '1' + '}'.repeat(130), '{"a":'.repeat(3000), '"' + 'k'.repeat(5000)],
  ...[`"${'x'.repeat(5000)}"`, `{"${'k'.repeat(5000)}":1}`, `[${'0,'.repeat(1000)}0]`],
]

/** Fields that no record has, or that a careless reader trips over. */
const ODD_FIELDS = [
  ...['"__proto__":{"polluted":true}', '"__proto__":null', '"constructor":1', '"toString":null'],
  ...['"hasOwnProperty":1', '"":1', '"unknown":[1,{"a":2}]', `"${'k'.repeat(3000)}":0`],
  ...['"\\ud800":1', '"10":1', '"length":4294967296', '"valueOf":"x"', '"then":1', '"toJSON":1'],
]

const PIECES = [
  ...['{', '}', '[', ']', ':', ',', '"', '\\', '\\u', '\\ud800', '\\"', ' ', '\n', '\t', '\0'],
  ...['-', '0', '1', '.', 'e', '+', '\ufeff', '\u2028', 'é', '😀', 'null', 'tru'],
]

type Edit = (text: string) => string

/** Where the values and the fields of a text begin and end; strings are not looked into. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:]/g

const edits: fc.Arbitrary<Edit> = fc.oneof(
  // Another value in the place of a scalar.
  { weight: 4, arbitrary: editOf(fc.constantFrom(...ODD_VALUES), replaceScalar) },
  // The value of one place at another.
  {
    weight: 2,
    arbitrary: fc.tuple(fc.nat(), fc.nat()).map(
      ([from, to]): Edit =>
        (text) =>
          replaceScalar(
            text,
            to,
            scalars(text)[from % Math.max(1, scalars(text).length)]?.[0] ?? '1',
          ),
    ),
  },
  // One more field, or one that is there already.
  { weight: 2, arbitrary: editOf(fc.constantFrom(...ODD_FIELDS), insertField) },
  {
    weight: 1,
    arbitrary: fc.nat().map(
      (at): Edit =>
        (text) =>
          repeatField(text, at),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat().map(
      (at): Edit =>
        (text) =>
          renameField(text, at),
    ),
  },
  // Characters without a plan.
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.nat(), fc.nat(6), fc.constantFrom('', ...PIECES))
      .map(([at, cut, piece]): Edit => (text) => {
        const start = at % (text.length + 1)
        return text.slice(0, start) + piece + text.slice(start + cut)
      }),
  },
)

/** Bytes of which a part are valid, or nearly valid, forms of the given texts. */
export function hostileJson(valid: readonly [string, ...string[]]): fc.Arbitrary<Uint8Array> {
  const edited = fc
    .tuple(fc.constantFrom(...valid), fc.array(edits, { maxLength: 3 }))
    .map(([text, changes]) => changes.reduce((before, change) => change(before), text))
  const bytes = edited.map((text) => Buffer.from(text))
  return fc.oneof(
    { weight: 12, arbitrary: bytes },
    { weight: 2, arbitrary: fc.tuple(bytes, fc.nat(), fc.nat(255)).map(withByte) },
    { weight: 1, arbitrary: fc.constantFrom(...ODD_VALUES).map((text) => Buffer.from(text)) },
    { weight: 1, arbitrary: fc.array(fc.constantFrom(...PIECES)).map((all) => utf8(all)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) },
  )
}

function editOf(
  piece: fc.Arbitrary<string>,
  edit: (text: string, at: number, piece: string) => string,
): fc.Arbitrary<Edit> {
  return fc.tuple(fc.nat(), piece).map(
    ([at, chosen]): Edit =>
      (text) =>
        edit(text, at, chosen),
  )
}

/** The strings, numbers and words that are values. */
function scalars(text: string): RegExpExecArray[] {
  const tokens = [...text.matchAll(TOKEN)]
  return tokens.filter(
    ([token], index) => !/^[{}[\],:]$/.test(token) && tokens[index + 1]?.[0] !== ':',
  )
}

function replaceScalar(text: string, at: number, value: string): string {
  const all = scalars(text)
  const found = all[at % Math.max(1, all.length)]
  if (found === undefined) return value
  return text.slice(0, found.index) + value + text.slice(found.index + found[0].length)
}

function insertField(text: string, at: number, field: string): string {
  const opened = [...text.matchAll(TOKEN)].filter(([token]) => token === '{')
  const found = opened[at % Math.max(1, opened.length)]
  if (found === undefined) return `{${field}}`
  const start = found.index + 1
  const comma = text.slice(start).trimStart().startsWith('}') ? '' : ','
  return text.slice(0, start) + field + comma + text.slice(start)
}

/** Gives a field twice, if it has a scalar. */
function repeatField(text: string, at: number): string {
  const fields = [
    ...text.matchAll(/"(?:[^"\\]|\\.)*" ?: ?(?:"(?:[^"\\]|\\.)*"|-?\d[\d.e]*|null|true|false)/g),
  ]
  const found = fields[at % Math.max(1, fields.length)]
  if (found === undefined) return text
  return `${text.slice(0, found.index)}${found[0]},${text.slice(found.index)}`
}

function renameField(text: string, at: number): string {
  const keys = [...text.matchAll(/"(?:[^"\\]|\\.)*" ?:/g)]
  const found = keys[at % Math.max(1, keys.length)]
  if (found === undefined) return text
  return `${text.slice(0, found.index + 1)}_${text.slice(found.index + 1)}`
}

function withByte([bytes, at, byte]: [Buffer, number, number]): Buffer {
  const changed = Buffer.from(bytes)
  if (changed.length > 0) changed[at % changed.length] = byte
  return changed
}

function utf8(pieces: readonly string[]): Buffer {
  return Buffer.from(pieces.join(''))
}
