import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { parseSafetensorsHeader, readSafetensorsHeader } from '../../lib/safetensors/index.js'
import { leastLongestTurn } from '../support/loop-delay.js'

/** Far more than a slice of 8 ms, for a busy machine and V8's collections; far less than the whole takes. */
const LONGEST_MS = 120

const TENSORS = 150_000

const tensors = (shape: string) =>
  Array.from({ length: TENSORS }, (_, index) => {
    // In no order, so that they must be sorted.
    const name = ((index * 7919) % TENSORS).toString(36)
    return `"${name}":{"dtype":"U8","shape":${shape},"data_offsets":[0,0]}`
  })

const headers: Readonly<Record<string, string>> = {
  'of very many tensors': `{${tensors('[0]').join(',')}}`,
  'whose tensor has millions of dimensions': `{"a":{"dtype":"U8","shape":[0${',1'.repeat(2_000_000)}],"data_offsets":[0,0]}}`,
  'whose tensor has a field that is long': `{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":[${'[{}],'.repeat(1_500_000)}0]}}`,
  'with much metadata': `{"__metadata__":{${Array.from({ length: 400_000 }, (_, index) => `"${index}":"value"`).join(',')}}}`,
}

describe('a long safetensors header', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-header-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  for (const [what, text] of Object.entries(headers)) {
    it(`${what} does not keep the event loop waiting`, async () => {
      const bytes = Buffer.concat([Buffer.alloc(8), Buffer.from(text)])
      bytes.writeBigUInt64LE(BigInt(bytes.length - 8))
      const path = join(folder, 'long.safetensors')
      await writeFile(path, bytes)
      const whole = parseSafetensorsHeader(bytes, bytes.length)
      const longest = await leastLongestTurn(async () => {
        const { metadata, tensors } = await readSafetensorsHeader(path)
        assert.equal(tensors.length, whole.tensors.length)
        assert.deepEqual(tensors.at(-1), whole.tensors.at(-1))
        assert.equal(metadata?.size, whole.metadata?.size)
      }, LONGEST_MS)
      assert.ok(longest < LONGEST_MS, `the event loop waited for ${longest} ms`)
    }).timeout(120_000)
  }

  it('is given up at an abort', async () => {
    const path = join(folder, 'long.safetensors')
    const signal = AbortSignal.timeout(20)
    await assert.rejects(readSafetensorsHeader(path, { signal }), { code: 'ABORT_ERR' })
  })
})
