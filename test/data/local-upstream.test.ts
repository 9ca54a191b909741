import assert from 'node:assert/strict'
import { utimes } from 'node:fs/promises'
import { join } from 'node:path'

import { openUpstream } from '../../lib/data/index.js'
import { mapLimited } from '../../lib/core/concurrency.js'
import { Dataset } from './support/dataset.js'

describe('an upstream in a folder', () => {
  let dataset: Dataset
  beforeEach(async () => {
    dataset = await Dataset.make()
  })
  afterEach(() => dataset.remove())

  it('need not give a manifest again that has not changed', async () => {
    const upstream = openUpstream({ Local: { root: dataset.source } })
    const read = (validator?: string) => upstream.readManifest({ maxBytes: 1e6, validator })
    const path = join(dataset.source, 'fetch-manifest.json')
    const fresh = await read()
    assert.equal(fresh?.validator, undefined, 'a file just written may be written again unnoticed')
    const longAgo = new Date(Date.now() - 60_000)
    await utimes(path, longAgo, longAgo)
    const settled = await read()
    assert.deepEqual(settled?.bytes, fresh?.bytes)
    assert.equal(await read(settled?.validator), undefined)
    await dataset.publish([dataset.entry(0)])
    assert.notEqual(await read(settled?.validator), undefined)
  })

  it('is served at a lease from an unchanged manifest', async () => {
    const longAgo = new Date(Date.now() - 60_000)
    await utimes(join(dataset.source, 'fetch-manifest.json'), longAgo, longAgo)
    let answers: unknown[] = []
    const cache = dataset.cache({
      openUpstream: (adapter) => {
        const upstream = openUpstream(adapter)
        return {
          readManifest: async (options) => {
            const answer = await upstream.readManifest(options)
            answers.push(answer === undefined ? 'unchanged' : 'sent')
            return answer
          },
          readShard: (entry, options) => upstream.readShard(entry, options),
        }
      },
    })
    await dataset.fetch([0], { cache })
    await dataset.fetch([1], { cache })
    assert.deepEqual(answers, ['sent', 'unchanged'])
    answers = []
    const elsewhere = await Dataset.make()
    await dataset.fetch([1], { cache, upstream: { Local: { root: elsewhere.source } } })
    assert.deepEqual(answers, ['sent'], 'the stamp was of another upstream')
    await elsewhere.remove()
  })
})

describe('work on many items', () => {
  it('keeps the order of the items and the limit', async () => {
    let running = 0
    let most = 0
    const results = await mapLimited([30, 1, 20, 1, 10], 2, async (ms) => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setTimeout(resolve, ms))
      running--
      return ms
    })
    assert.deepEqual(results, [30, 1, 20, 1, 10])
    assert.equal(most, 2)
    assert.deepEqual(await mapLimited([], 2, () => Promise.reject(new Error('called'))), [])
  })

  it('begins nothing after a failure, stops what runs, and throws the failure', async () => {
    const failure = new Error('first')
    const begun: number[] = []
    let stopped = false
    const running = mapLimited([0, 1, 2, 3], 2, async (item, signal) => {
      begun.push(item)
      if (item === 1) throw failure
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => {
          stopped = true
          resolve()
        })
      })
    })
    await assert.rejects(running, failure)
    assert.deepEqual(begun, [0, 1])
    assert(stopped)
  })
})
