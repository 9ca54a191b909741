/** What follows from what peers do wrong. */
import assert from 'node:assert/strict'
import { Conduct, type Ban, type Fault } from '../../lib/p2p/conduct.js'
import { TokenBucket } from '../../lib/p2p/rate.js'

const MINUTE = 60_000

describe('the conduct of a peer', () => {
  let now = 0
  let bans: [string, Ban][] = []
  let conduct: Conduct
  beforeEach(() => {
    now = 1_000_000
    bans = []
    conduct = new Conduct(
      (peerId, ban) => bans.push([peerId, ban]),
      () => now,
    )
  })
  const times = (count: number, fault: Fault, everyMs = 0) => {
    for (let at = 0; at < count; at += 1, now += everyMs) conduct.note('peer', fault, `fault ${at}`)
  }

  it('is counted by kind, with the last fault in words', () => {
    times(3, 'malformed')
    times(1, 'slow')
    const [peer] = conduct.list()
    assert.deepEqual(peer, {
      peerId: 'peer',
      faults: { malformed: 3, slow: 1 },
      last: 'fault 0',
      ban: undefined,
    })
  })

  it('gets it banned at once for a lie, and each time for twice as long, up to a day', () => {
    const lengths: number[] = []
    for (let at = 0; at < 10; at += 1) {
      times(1, 'false-chunk')
      lengths.push(conduct.banOf('peer')!.until - now)
      now = conduct.banOf('peer')!.until
      assert.equal(conduct.banOf('peer'), undefined)
    }
    assert.deepEqual(lengths.slice(0, 3), [10 * MINUTE, 20 * MINUTE, 40 * MINUTE])
    assert.equal(lengths.at(-1), 24 * 60 * MINUTE)
    assert.equal(bans.length, 10)
  })

  it('gets it banned for ten mistakes in a minute, not for ten in a longer time', () => {
    times(30, 'malformed', 7000)
    assert.equal(bans.length, 0)
    now += MINUTE
    times(9, 'malformed')
    assert.equal(bans.length, 0)
    times(1, 'flood')
    assert.deepEqual(
      bans.map(([peerId, { fault, reason }]) => [peerId, fault, reason]),
      [['peer', 'flood', 'fault 0']],
    )
  })

  it('never gets it banned for being slow, away, or ahead of the time', () => {
    for (const fault of ['slow', 'unreachable', 'future'] as const) times(1000, fault)
    assert.deepEqual(bans, [])
  })

  it('keeps it away half a minute for a certificate that does not hold, however often', () => {
    for (let at = 0; at < 5; at += 1) {
      times(1, 'not-admitted')
      assert.equal(conduct.banOf('peer')!.until - now, 30_000)
      now += 30_000
    }
  })

  it('is forgotten when it is pardoned', () => {
    times(1, 'false-descriptor')
    conduct.pardon('peer')
    assert.equal(conduct.banOf('peer'), undefined)
    assert.deepEqual(conduct.list(), [])
  })

  it('is kept of a thousand peers, those that are banned first', () => {
    conduct.note('liar', 'false-chunk', 'lied')
    for (let at = 0; at < 5000; at += 1) conduct.note(`peer-${at}`, 'malformed', 'x'.repeat(10_000))
    const all = conduct.list()
    assert.equal(all.length, 1024)
    assert.ok(all.some(({ peerId }) => peerId === 'liar'))
    assert.ok(all.every(({ last }) => last.length <= 301))
  })
})

describe('a bucket of tokens', () => {
  it('gives what it holds at once, then as many as come in', () => {
    let now = 0
    const bucket = new TokenBucket(10, 20, () => now)
    const takeAll = () => {
      let taken = 0
      while (bucket.take()) taken += 1
      return taken
    }
    assert.equal(takeAll(), 20)
    now += 500
    assert.equal(takeAll(), 5)
    now += 3_600_000
    assert.equal(takeAll(), 20)
  })
})
