/** The agreement on contributions, explored: every order of events for three members, random ones for more. */
import assert from 'node:assert/strict'
import {
  abandon,
  lead,
  receive,
  startAgreement,
  type Agreement,
  type AgreementMessage,
  type AgreementRecord,
  type AgreementStep,
  type ContributionList,
} from '../../lib/diloco/agreement.js'
import { isFull } from '../support/runs.js'

type Envelope = readonly [from: string, to: string, message: AgreementMessage]

/** All members, every message ever sent (it may come at any time, never, or again), and what each has accepted. */
interface World {
  readonly members: ReadonlyMap<string, Agreement>
  readonly sent: ReadonlyMap<string, Envelope>
  /** `member ballot list`. */
  readonly votes: ReadonlySet<string>
}

const ORDER = ['b', 'a', 'c']
/** What a member proposes: its own contribution, so that each would decide another list. */
const listOf = (peer: string): ContributionList => [[peer, `payload of ${peer}`]]

const begin = (order: readonly string[]): World => ({
  members: new Map(order.map((peer) => [peer, startAgreement(peer, order)])),
  sent: new Map(),
  votes: new Set(),
})

/** `isLost`: the member crashed after it wrote its record and before it sent anything. */
function after(world: World, peer: string, step: AgreementStep, isLost = false): World {
  const before = world.members.get(peer)!
  assert.ok(step.save || step.next.record === before.record, 'a changed record must be saved')
  const { record, members } = step.next
  const next = isLost ? startAgreement(peer, members, record) : step.next
  const votes = new Set(world.votes)
  if (record.accepted !== null) {
    const { ballot, list } = record.accepted
    votes.add(JSON.stringify([peer, ballot, list]))
  }
  const sent = new Map(world.sent)
  for (const { to, message } of isLost ? [] : step.send) {
    const envelope: Envelope = [peer, to, message]
    sent.set(JSON.stringify(envelope), envelope)
  }
  return { members: new Map(world.members).set(peer, next), sent, votes }
}

/** No two lists are chosen by majorities, none is decided that was not chosen, and all decide the same. */
function checkSafety({ members, votes }: World): void {
  const supporters = new Map<string, number>()
  for (const vote of votes) {
    const [, ballot, list] = JSON.parse(vote) as [string, unknown, unknown]
    const key = JSON.stringify([ballot, list])
    supporters.set(key, (supporters.get(key) ?? 0) + 1)
  }
  const chosen = new Set<string>()
  for (const [key, count] of supporters) {
    const [, list] = JSON.parse(key) as [unknown, unknown]
    if (2 * count > members.size) chosen.add(JSON.stringify(list))
  }
  assert.ok(chosen.size <= 1, `two lists were chosen: ${[...chosen].join(' and ')}`)
  for (const { decided, self } of members.values()) {
    if (decided === null) continue
    assert.ok(chosen.has(JSON.stringify(decided)), `${self} decided what was not chosen`)
  }
}

const keyOf = ({ members, sent, votes }: World) =>
  JSON.stringify([
    [...members.values()].map(({ record, proposal, heard, decided }) => [
      record,
      heard,
      proposal && [proposal, [...(proposal.promises ?? [])].sort(), [...proposal.votes].sort()],
      proposal?.promises === null,
      decided,
    ]),
    [...sent.keys()].sort(),
    [...votes].sort(),
  ])

interface Faults {
  readonly crashes: boolean
  /** What a member comes back with; the record itself, unless something is broken on purpose. */
  readonly restored: (record: AgreementRecord) => AgreementRecord
}

/** What may happen next. Ballots above 2 are left out: they differ from others in their number alone. */
function* successors(world: World, { crashes, restored }: Faults): Iterable<World> {
  for (const [peer, state] of world.members) {
    if ((state.record.promised?.[0] ?? 0) < 2) {
      const step = lead(state, listOf(peer))
      yield after(world, peer, step)
      if (crashes && step.save) yield after(world, peer, step, true)
    }
    if (!state.record.isAbandoned) yield after(world, peer, abandon(state))
    if (crashes) {
      const back = startAgreement(peer, state.members, restored(state.record))
      yield { ...world, members: new Map(world.members).set(peer, back) }
    }
  }
  for (const [from, to, message] of world.sent.values()) {
    const step = receive(world.members.get(to)!, from, message)
    yield after(world, to, step)
    if (crashes && step.save) yield after(world, to, step, true)
  }
}

/** Visits every state up to a depth once, breadth first; returns how many. */
function explore(depth: number, faults: Faults): number {
  const seen = new Set<string>()
  let frontier = [begin(ORDER)]
  for (let level = 0; level < depth; level++) {
    const found: World[] = []
    for (const world of frontier) {
      for (const next of successors(world, faults)) {
        const key = keyOf(next)
        if (seen.has(key)) continue
        seen.add(key)
        checkSafety(next)
        found.push(next)
      }
    }
    frontier = found
  }
  return seen.size
}

const KEEPS: Faults = { crashes: true, restored: (record) => record }

/** Numbers in 0..1 that a seed fixes. */
function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let z = Math.imul(state ^ (state >>> 15), state | 1)
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61)
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32
  }
}

describe('the agreement on contributions', function () {
  this.timeout(isFull ? 1_800_000 : 60_000)

  it('never chooses two lists: every order of events of three members, with losses, repeats, crashes', () => {
    assert.ok(explore(isFull ? 7 : 6, KEEPS) > 20_000)
  })

  it('would choose two lists if members forgot what they promised and accepted, and the check finds it', () => {
    const forgetful = (record: AgreementRecord): AgreementRecord => ({
      ...record,
      promised: null,
      accepted: null,
    })
    const restart = (
      world: World,
      peer: string,
      restored: (r: AgreementRecord) => AgreementRecord,
    ) => {
      const state = world.members.get(peer)!
      const back = startAgreement(peer, state.members, restored(state.record))
      return { ...world, members: new Map(world.members).set(peer, back) }
    }
    const scenario = (restored: (record: AgreementRecord) => AgreementRecord) => {
      let world = begin(ORDER)
      const deliver = (kind: string, from: string, to: string) => {
        const found = [...world.sent.values()].find(
          ([f, t, message]) => f === from && t === to && message.kind === kind,
        )!
        world = after(world, to, receive(world.members.get(to)!, from, found[2]))
        checkSafety(world)
      }
      world = after(world, 'b', lead(world.members.get('b')!, listOf('b')))
      deliver('accept', 'b', 'a')
      world = restart(world, 'a', restored)
      world = after(world, 'c', lead(world.members.get('c')!, listOf('c')))
      deliver('prepare', 'c', 'a')
      deliver('promise', 'a', 'c')
      deliver('accept', 'c', 'a')
      return world
    }
    scenario((record) => record)
    assert.throws(() => scenario(forgetful), /two lists were chosen/)
  })

  for (const size of [5, 8]) {
    it(`is safe in random runs of ${size} members with faults, and ends when they cease`, () => {
      const order = Array.from({ length: size }, (_, i) => `peer-${i}`)
      for (let seed = 0; seed < (isFull ? 20_000 : 150); seed++) {
        const next = random(seed * 1000 + size)
        const pick = <T>(list: readonly T[]) => list[Math.floor(next() * list.length)]!
        let world = begin(order)
        const cut = new Set(order.filter(() => next() < 0.3))
        for (let i = 0; i < 120; i++) {
          const peer = pick(order)
          const state = world.members.get(peer)!
          const chance = next()
          // A few leaders only, and half of the messages over a partition that heals in the middle.
          if (chance < 0.06) world = after(world, peer, lead(state, listOf(peer)), next() < 0.1)
          else if (chance < 0.1) {
            const back = startAgreement(peer, order, state.record)
            world = { ...world, members: new Map(world.members).set(peer, back) }
          } else if (world.sent.size > 0) {
            const [from, to, message] = pick([...world.sent.values()])
            if (i < 60 && cut.has(from) !== cut.has(to)) continue
            const step = receive(world.members.get(to)!, from, message)
            world = after(world, to, step, step.save && next() < 0.05)
          }
          if (i % 10 === 0) checkSafety(world)
        }
        checkSafety(world)
        world = calm(world, pick(order))
        checkSafety(world)
        const decided = new Set([...world.members.values()].map((it) => JSON.stringify(it.decided)))
        assert.equal(decided.size, 1, `seed ${seed}`)
        assert.ok(!decided.has('null'), `seed ${seed}: nothing was decided`)
      }
    })
  }

  it('decides the list of the first leader in two message delays when nothing fails', () => {
    let world = after(begin(ORDER), 'b', lead(begin(ORDER).members.get('b')!, listOf('b')))
    world = deliverAll(world)
    for (const { decided } of world.members.values()) assert.deepEqual(decided, listOf('b'))
    assert.ok(![...world.sent.values()].some(([, , message]) => message.kind === 'prepare'))
  })

  it('does not vote on a plan that it abandoned, and still learns that it was decided', () => {
    const gone = abandon(startAgreement('a', ORDER)).next
    const accept = { kind: 'accept', ballot: [0, 'b'], list: listOf('b') } as const
    assert.deepEqual(receive(gone, 'b', accept).send, [])
    assert.deepEqual(lead(gone, listOf('a')).send, [])
    const told = receive(gone, 'c', { kind: 'decided', list: listOf('b') })
    assert.deepEqual(told.next.decided, listOf('b'))
  })

  it('takes no message of a stranger, no ballot of another, and no list that is not sorted or of members', () => {
    const state = startAgreement('a', ORDER)
    const list = listOf('b')
    const wrong: [string, AgreementMessage][] = [
      ['z', { kind: 'decided', list }],
      ['c', { kind: 'accept', ballot: [1, 'b'], list }],
      ['c', { kind: 'accept', ballot: [0, 'c'], list }],
      ['b', { kind: 'accept', ballot: [0, 'b'], list: [] }],
      [
        'b',
        {
          kind: 'accept',
          ballot: [0, 'b'],
          list: [
            ['c', 'x'],
            ['b', 'y'],
          ],
        },
      ],
      ['b', { kind: 'accept', ballot: [0, 'b'], list: [['z', 'x']] }],
      [
        'b',
        {
          kind: 'decided',
          list: [
            ['b', 'x'],
            ['b', 'x'],
          ],
        },
      ],
      ['b', { kind: 'prepare', ballot: [1, 'c'] }],
      ['b', { kind: 'prepare', ballot: [0, 'b'] }],
      ['b', { kind: 'prepare', ballot: [2 ** 40, 'b'] }],
      ['b', { kind: 'refused', ballot: [1.5, 'b'] }],
    ]
    for (const [from, message] of wrong) {
      const { next, save, send } = receive(state, from, message)
      assert.equal(next, state)
      assert.deepEqual([save, send], [false, []], JSON.stringify(message))
    }
  })
})

/** Delivers everything, what follows from it too. */
function deliverAll(world: World): World {
  const done = new Set<string>()
  for (;;) {
    const waiting = [...world.sent].filter(([key]) => !done.has(key))
    if (waiting.length === 0) return world
    for (const [key, [from, to, message]] of waiting) {
      done.add(key)
      world = after(world, to, receive(world.members.get(to)!, from, message))
    }
  }
}

/** No more faults: one member leads until it has decided, above every ballot that others have promised. */
function calm(world: World, leader: string): World {
  // One round to hear of higher ballots, one to win; the plan of a leader that fell silent takes one more.
  for (let i = 0; i < 4; i++) {
    world = { ...world, sent: new Map() }
    world = deliverAll(after(world, leader, lead(world.members.get(leader)!, listOf(leader))))
  }
  return world
}
