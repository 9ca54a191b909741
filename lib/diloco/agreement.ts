/**
 * How the members of a plan agree on which contributions count: single-decree Paxos with the members as acceptors.
 *
 * A pure state machine: it has no clock, no network, no disk and no randomness. Each function takes a state and gives
 * the next one with what is to be done. What it survives: messages that are lost, repeated, late or in another order,
 * and members that stop and come back, as long as each keeps its {@link AgreementRecord}. It does not survive members
 * that lie about what they accepted; ids, signatures and screens limit those.
 */
import { byUtf8 } from './apply.js'

/** A peer and the content id of its payload. */
export type ListedContribution = readonly [peerId: string, payloadId: string]

/** What is agreed on: at least one contribution, sorted by peer id. */
export type ContributionList = readonly ListedContribution[]

/** Ballots are ordered by number, then by peer. */
export type Ballot = readonly [number: number, peerId: string]

/** A list under the ballot with which it was accepted. */
export interface AcceptedList {
  readonly ballot: Ballot
  readonly list: ContributionList
}

/** What a member must have on disk before any message of the same step leaves it. */
export interface AgreementRecord {
  /** No lower ballot is answered any more. */
  readonly promised: Ballot | null
  readonly accepted: AcceptedList | null
  /** An abandoned plan is not voted on any more; that it was decided can still be learned. */
  readonly isAbandoned: boolean
}

/** What members send each other about one plan. */
export type AgreementMessage =
  | { readonly kind: 'prepare'; readonly ballot: Ballot }
  | { readonly kind: 'promise'; readonly ballot: Ballot; readonly accepted: AcceptedList | null }
  | { readonly kind: 'accept'; readonly ballot: Ballot; readonly list: ContributionList }
  | { readonly kind: 'accepted'; readonly ballot: Ballot }
  /** The sender has promised this higher ballot. */
  | { readonly kind: 'refused'; readonly ballot: Ballot }
  | { readonly kind: 'decided'; readonly list: ContributionList }

/** What the leader of a ballot has heard. */
export interface Proposal {
  readonly ballot: Ballot
  /** What is proposed when no member has accepted another; then what is proposed. */
  readonly list: ContributionList
  /** Null once a majority has promised. */
  readonly promises: ReadonlyMap<string, AcceptedList | null> | null
  readonly votes: ReadonlySet<string>
}

/** One member's view of one plan. */
export interface Agreement {
  readonly self: string
  /** In the order in which they lead; the first needs no promise for ballot 0. */
  readonly members: readonly string[]
  readonly record: AgreementRecord
  readonly proposal: Proposal | null
  /** Highest number of a ballot that others have promised, as far as known. */
  readonly heard: number
  readonly decided: ContributionList | null
}

/** A next state and what is to be done: first `save`, durably, then `send`. */
export interface AgreementStep {
  readonly next: Agreement
  /** Whether the record has changed. */
  readonly save: boolean
  readonly send: readonly { readonly to: string; readonly message: AgreementMessage }[]
}

/** Above it a ballot is a lie: each is a leader that fell silent. */
const MAX_BALLOT = 1_000_000

const EMPTY: AgreementRecord = { promised: null, accepted: null, isAbandoned: false }

/**
 * The state of a member that begins, or comes back with the record that it kept.
 *
 * @param members in leading order, `self` among them
 */
export function startAgreement(
  self: string,
  members: readonly string[],
  record: AgreementRecord = EMPTY,
): Agreement {
  return { self, members, record, proposal: null, heard: 0, decided: null }
}

/**
 * Begins to lead, or repeats itself as the leader: at the deadline, when all contributions are in, or when the leader
 * before is silent.
 *
 * @param list those contributions that a majority has whole; proposed unless another list may have been chosen
 */
export function lead(state: Agreement, list: ContributionList): AgreementStep {
  const { self, record, decided, proposal } = state
  if (decided !== null) return tell(state, { kind: 'decided', list: decided })
  if (record.isAbandoned || !isList(list, state.members)) return nothing(state)
  const { promised, accepted } = record
  if (proposal !== null && promised !== null && compare(proposal.ballot, promised) === 0) {
    const { ballot } = proposal
    return tell(
      state,
      proposal.promises === null
        ? { kind: 'accept', ballot, list: proposal.list }
        : { kind: 'prepare', ballot },
    )
  }
  if (promised === null && state.heard === 0 && state.members[0] === self)
    return propose(state, [0, self], list)
  // After a restart: the same ballot may carry no other list.
  const isOwn = promised?.[1] === self && promised[0] >= state.heard
  if (isOwn && accepted !== null && compare(accepted.ballot, promised) === 0) {
    return propose(state, promised, accepted.list)
  }
  const ballot: Ballot = [Math.max(promised?.[0] ?? 0, state.heard) + 1, self]
  const promises = new Map([[self, accepted]])
  const next = {
    ...state,
    record: { ...record, promised: ballot },
    proposal: { ballot, list, promises, votes: new Set<string>() },
  }
  return withMajority(tell(next, { kind: 'prepare', ballot }, true))
}

/** Gives the plan up: no vote any more. */
export function abandon(state: Agreement): AgreementStep {
  const record = { ...state.record, isAbandoned: true }
  return { next: { ...state, record, proposal: null }, save: true, send: [] }
}

/** Takes a message of a member. What does not come from one, or has an impossible form, changes nothing. */
export function receive(state: Agreement, from: string, message: AgreementMessage): AgreementStep {
  if (!state.members.includes(from) || from === state.self) return nothing(state)
  if (message.kind === 'decided') return learn(state, message.list)
  if (state.decided !== null) {
    return answer(state, from, { kind: 'decided', list: state.decided }, false)
  }
  if (state.record.isAbandoned || !isBallot(message.ballot)) return nothing(state)
  switch (message.kind) {
    case 'prepare':
      return onPrepare(state, from, message.ballot)
    case 'promise':
      return onPromise(state, from, message.ballot, message.accepted)
    case 'accept':
      return onAccept(state, from, message.ballot, message.list)
    case 'accepted':
      return onAccepted(state, from, message.ballot)
    case 'refused':
      return onRefused(state, message.ballot)
  }
}

function onPrepare(state: Agreement, from: string, ballot: Ballot): AgreementStep {
  const { record } = state
  if (ballot[1] !== from || ballot[0] < 1) return nothing(state)
  if (isLower(ballot, record.promised)) return refuse(state, from)
  const next = { ...state, record: { ...record, promised: ballot } }
  return answer(next, from, { kind: 'promise', ballot, accepted: record.accepted }, true)
}

function onPromise(
  state: Agreement,
  from: string,
  ballot: Ballot,
  accepted: AcceptedList | null,
): AgreementStep {
  const { proposal, record } = state
  if (proposal?.promises == null || compare(ballot, proposal.ballot) !== 0) return nothing(state)
  if (isLower(ballot, record.promised)) return nothing(state)
  if (accepted !== null && !isList(accepted.list, state.members)) return nothing(state)
  const promises = new Map(proposal.promises).set(from, accepted)
  return withMajority(nothing({ ...state, proposal: { ...proposal, promises } }))
}

/** Proposes once a majority has promised: the list accepted under the highest ballot, if there is one. */
function withMajority(step: AgreementStep): AgreementStep {
  const { proposal, members } = step.next
  if (proposal?.promises == null || !isMajority(proposal.promises.size, members)) return step
  let highest: AcceptedList | null = null
  for (const accepted of proposal.promises.values()) {
    if (accepted !== null && !isLower(accepted.ballot, highest?.ballot ?? null)) highest = accepted
  }
  return propose(step.next, proposal.ballot, highest?.list ?? proposal.list)
}

/** The leader accepts its own proposal first, and writes it down. */
function propose(state: Agreement, ballot: Ballot, list: ContributionList): AgreementStep {
  const votes = new Set([state.self])
  const next = {
    ...state,
    record: { ...state.record, promised: ballot, accepted: { ballot, list } },
    proposal: { ballot, list, promises: null, votes },
  }
  const step = tell(next, { kind: 'accept', ballot, list }, true)
  return isMajority(votes.size, state.members) ? decide(step) : step
}

function onAccept(
  state: Agreement,
  from: string,
  ballot: Ballot,
  list: ContributionList,
): AgreementStep {
  const { record, members } = state
  const isOwn = ballot[1] === from && (ballot[0] > 0 || (ballot[0] === 0 && from === members[0]))
  if (!isOwn || !isList(list, members)) return nothing(state)
  if (isLower(ballot, record.promised)) return refuse(state, from)
  const { accepted } = record
  // One ballot with two lists: the leader has lost its record, or lies.
  if (accepted !== null && compare(accepted.ballot, ballot) === 0 && !isSame(accepted.list, list)) {
    return nothing(state)
  }
  const next = { ...state, record: { ...record, promised: ballot, accepted: { ballot, list } } }
  return answer(next, from, { kind: 'accepted', ballot }, true)
}

function onAccepted(state: Agreement, from: string, ballot: Ballot): AgreementStep {
  const { proposal, members } = state
  if (proposal?.promises !== null || compare(ballot, proposal.ballot) !== 0) return nothing(state)
  const votes = new Set(proposal.votes).add(from)
  const step = nothing({ ...state, proposal: { ...proposal, votes } })
  return isMajority(votes.size, members) ? decide(step) : step
}

/** The proposal is over, and the next ballot will be above this one. */
function onRefused(state: Agreement, ballot: Ballot): AgreementStep {
  const { proposal, heard } = state
  const isOver = proposal !== null && isLower(proposal.ballot, ballot)
  const next = { ...state, heard: Math.max(heard, ballot[0]) }
  return nothing(isOver ? { ...next, proposal: null } : next)
}

function refuse(state: Agreement, to: string): AgreementStep {
  const { promised } = state.record
  if (promised === null) return nothing(state)
  return answer(state, to, { kind: 'refused', ballot: promised }, false)
}

function decide({ next, save, send }: AgreementStep): AgreementStep {
  const list = next.proposal?.list ?? null
  if (list === null) return { next, save, send }
  const told = tell({ ...next, decided: list }, { kind: 'decided', list })
  return { next: told.next, save, send: [...send, ...told.send] }
}

function learn(state: Agreement, list: ContributionList): AgreementStep {
  if (state.decided !== null || !isList(list, state.members)) return nothing(state)
  return nothing({ ...state, decided: list })
}

const nothing = (next: Agreement): AgreementStep => ({ next, save: false, send: [] })

const answer = (
  next: Agreement,
  to: string,
  message: AgreementMessage,
  save: boolean,
): AgreementStep => ({ next, save, send: [{ to, message }] })

function tell(next: Agreement, message: AgreementMessage, save = false): AgreementStep {
  const others = next.members.filter((member) => member !== next.self)
  return { next, save, send: others.map((to) => ({ to, message })) }
}

const isBallot = ([number]: Ballot) =>
  Number.isSafeInteger(number) && number >= 0 && number <= MAX_BALLOT

const isMajority = (count: number, members: readonly string[]) => 2 * count > members.length

const compare = (a: Ballot, b: Ballot) => a[0] - b[0] || byUtf8(a[1], b[1])

const isLower = (a: Ballot, b: Ballot | null) => b !== null && compare(a, b) < 0

const isSame = (a: ContributionList, b: ContributionList) => JSON.stringify(a) === JSON.stringify(b)

/** Contributions of members, each at most once, sorted; at least one. */
function isList(list: ContributionList, members: readonly string[]): boolean {
  return (
    list.length > 0 &&
    list.every(
      ([peerId], i) =>
        members.includes(peerId) && (i === 0 || byUtf8(list[i - 1]?.[0] ?? '', peerId) < 0),
    )
  )
}
