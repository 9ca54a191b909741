/** The comparison with other bridges: its own side of it, and what happens when a side fails. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Places } from '../../../bench/others/bridge.js'
import type { Operation } from '../../../bench/others/operations.js'
import { Peer } from '../../../bench/others/peer.js'
import { digitsExample } from '../../../bench/examples.js'
import { findPython } from '../../../lib/index.js'
import { packageRoot } from '../../../lib/runtime/package-root.js'
import { withTorch } from '../../support/workloads.js'

const root = packageRoot()
const torchIt = withTorch ? it : it.skip

async function places(): Promise<Places> {
  const { executable } = await findPython()
  const own = join(root, 'bench', 'others', 'python')
  return {
    python: executable,
    sitePackages: '',
    modules: [own, join(root, 'bench', 'workloads'), join(root, 'examples', 'digits')],
    plainCalls: join(own, 'plain_calls.py'),
    packages: root,
  }
}

describe('a bridge in the benchmark', () => {
  let peer: Peer | undefined
  afterEach(() => peer?.close())

  it('answers its first call before it counts as started', async () => {
    const began = performance.now()
    peer = await Peer.start('torchbed', await places())
    assert.ok(peer.startupMs > 0 && peer.startupMs <= performance.now() - began)
    for (const operation of [
      { kind: 'call', times: 3 },
      { kind: 'refs', count: 2, times: 3 },
      { kind: 'burst', calls: 10 },
    ] satisfies Operation[]) {
      const { ms = NaN } = await peer.ask(operation)
      assert.ok(ms > 0, operation.kind)
    }
  })

  torchIt('loads what was changed in this process, and gives it back changed', async () => {
    peer = await Peer.start('torchbed', await places())
    const { bytes = NaN } = await peer.ask({ kind: 'openWeights', megabytes: 1 })
    assert.ok(bytes > 1e6 && bytes < 1.1e6)
    // The child compares: each load carries a new weight, each materialize must bring it.
    for (let round = 0; round < 2; round++) {
      assert.ok(Number((await peer.ask({ kind: 'load' })).ms) > 0)
      assert.ok(Number((await peer.ask({ kind: 'materialize' })).ms) > 0)
    }
  })

  torchIt('trains, and takes other calls meanwhile', async () => {
    peer = await Peer.start('torchbed', await places())
    const config = { threads: 1, epochs_per_window: 4 }
    const { batches } = await digitsExample((await places()).python, config)
    await peer.ask({ kind: 'openDigits', config })
    const seen = await peer.ask({ kind: 'train', batches, callEveryMs: 5 })
    assert.equal(seen.examples, 1437 * 4)
    assert.ok(Number(seen.calls) > 0)
    assert.ok(Number(seen.loop_max_ms) >= Number(seen.loop_p99_ms))
  })

  it('that fails at a call says why, and takes the next', async () => {
    peer = await Peer.start('torchbed', await places())
    const untimely: Operation = { kind: 'train', batches: [], callEveryMs: 1 }
    await assert.rejects(peer.ask(untimely), /The model of this measurement is not open/)
    assert.ok(Number((await peer.ask({ kind: 'call', times: 1 })).ms) > 0)
  })

  it('that ends by itself is told from one that answers', async () => {
    await assert.rejects(Peer.start('no-such-bridge', await places()), (error: Error) => {
      assert.match(error.message, /^no-such-bridge ended with code 1/)
      return true
    })
  })
})
