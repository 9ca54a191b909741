import assert from 'node:assert/strict'

import { HeadId, PeerId, supportedWorkload, WindowId } from '../../lib/schema/index.js'

describe('typed ids', () => {
  it('are plain strings that need no constructor', () => {
    const peer: PeerId = 'peer-1'
    assert.equal(PeerId.toJson(peer), '"peer-1"')
    assert.equal(PeerId.fromJson('"peer-1"'), peer)
    assert.throws(() => PeerId.fromJson('1'), /Cannot read PeerId:\n {2}expected a string, got 1/)
  })

  it('are not confused with one another by the compiler', () => {
    const head: HeadId = 'head-1'
    // @ts-expect-error a head is no peer
    const peer: PeerId = head
    assert.equal(peer, 'head-1')
  })

  it('count windows with plain integers', () => {
    assert.equal(WindowId.toJson(9), '9')
  })
})

describe('supported workloads', () => {
  it('get a revision family and a resource class when none is given', () => {
    const hashes = { model_program_hash: 'program', checkpoint_format_hash: 'checkpoint' }
    assert.deepEqual(supportedWorkload({ workload_id: 'w', workload_name: 'W', ...hashes }), {
      workload_id: 'w',
      workload_name: 'W',
      ...hashes,
      supported_revision_family: 'w-revision-family',
      resource_class: 'standard',
    })
  })
})
