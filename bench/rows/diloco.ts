/** One round's arithmetic on this machine: encode, the mean of four contributions with an outer step, and the root. */

import {
  applyRound,
  arraysOf,
  CODECS,
  contribute,
  DEFAULT_OUTER,
  initialOuterState,
  stateRoot,
  type ReplicaState,
} from '../../lib/diloco/index.js'
import { interleaved } from '../measure.js'
import { measured, type Effort, type Group, type Row, type RowSpec } from '../row.js'

const PEERS = ['a', 'b', 'c', 'd']

const spec = (codec: 'int8' | 'int4', limit: number): RowSpec => ({
  id: `diloco-${codec}`,
  title: `encode ${codec}, mean of 4 with Nesterov, state root, 10 M parameters / memcpy of 40 MB`,
  better: 'at most',
  limit,
})
const INT8 = spec('int8', 6)
const INT4 = spec('int4', 8)

export const diloco: Group = {
  name: 'diloco',
  rows: [INT8, INT4],
  async *run(effort) {
    if (effort.wants(INT8.id)) yield await arithmetic(INT8, 'int8', effort)
    if (effort.wants(INT4.id)) yield await arithmetic(INT4, 'int4', effort)
  },
}

async function arithmetic(row: RowSpec, name: 'int8' | 'int4', effort: Effort): Promise<Row> {
  effort.begin(row.id)
  const count = effort.quick ? 1_000_000 : 10_000_000
  const rounds = effort.quick ? 3 : 15
  const codec = CODECS[name]
  const base = Float32Array.from({ length: count }, (_, i) => Math.sin(i))
  const local = base.map((value, i) => value + 1e-3 * Math.cos(7 * i))
  const owed = new Float32Array(count)
  const sent = {
    total: new Float32Array(count),
    payload: new Uint8Array(codec.encodedLength(count)),
  }
  const fresh = (): ReplicaState => ({
    ...initialOuterState(DEFAULT_OUTER, base.slice()),
    round: 0,
    usualNorm: null,
  })
  const [state, into] = [fresh(), fresh()]
  const contributions = PEERS.map((peerId) => ({ peerId, payload: sent.payload, tokens: 1 }))
  const [source, target] = [new Uint8Array(4 * count).fill(1), new Uint8Array(4 * count).fill(2)]
  const took = await interleaved(
    {
      memcpy: () => target.set(source),
      encode: () => contribute({ codec, base, local, owed }, sent),
      // With the norms of the contributions, which the screen needs.
      apply: () => applyRound(state, contributions, { codec, outer: DEFAULT_OUTER }, into),
      root: () => stateRoot(...arraysOf(into)),
    },
    rounds,
  )
  return measured(
    row,
    (took.encode + took.apply + took.root) / took.memcpy,
    {
      encode_ms: took.encode,
      apply_ms: took.apply,
      root_ms: took.root,
      memcpy_ms: took.memcpy,
    },
    { parameters: count, rounds },
  )
}
