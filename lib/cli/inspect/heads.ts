/** The heads of a store: their order, and whether they fit together. */

import {
  DeltaBaseHeadMismatchError,
  HeadArtifactMismatchError,
  MissingParentHeadError,
} from '../../lineage/index.js'
import {
  InvalidRecordError,
  UnknownArtifactError,
  type FsArtifactStore,
} from '../../store/index.js'
import type { ArtifactDescriptor, ArtifactId, HeadDescriptor, HeadId } from '../../schema/index.js'
import { problemOf, type HeadReport, type Problem } from './report.js'

/** What the heads are checked against. */
export interface HeadContext {
  readonly store: FsArtifactStore
  readonly artifacts: ReadonlyMap<ArtifactId, ArtifactDescriptor>
  readonly canonicalHead: HeadId | null
  readonly pinnedHeads: ReadonlySet<HeadId>
}

/** All heads, parents before their children, and what is wrong with them. */
export function checkHeads(
  heads: ReadonlyMap<HeadId, HeadDescriptor>,
  context: HeadContext,
): { reports: HeadReport[]; problems: Problem[] } {
  const problems: Problem[] = []
  const { ordered, circular } = rootFirst(heads)
  for (const { head_id } of circular) {
    const path = context.store.headPath(head_id)
    problems.push(problemOf(new InvalidRecordError(path, 'the head is one of its own ancestors')))
  }
  const all = [...ordered, ...circular]
  for (const head of all) {
    const error = faultOf(head, heads, context)
    if (error !== undefined) problems.push(problemOf(error))
  }
  const canonical = ancestors(context.canonicalHead, heads)
  const reports = all.map((head) => ({
    ...head,
    canonical: canonical.has(head.head_id),
    artifactKept: context.artifacts.has(head.artifact_id),
  }))
  return { reports, problems }
}

/** Like the rules of the catalogue, except that the artifact of a head may have been collected. */
function faultOf(
  { head_id, artifact_id, parent_head_id }: HeadDescriptor,
  heads: ReadonlyMap<HeadId, HeadDescriptor>,
  { artifacts, canonicalHead, pinnedHeads }: HeadContext,
): Error | undefined {
  if (parent_head_id !== null && !heads.has(parent_head_id)) {
    return new MissingParentHeadError(parent_head_id)
  }
  const artifact = artifacts.get(artifact_id)
  if (artifact === undefined) {
    const isNeeded = head_id === canonicalHead || pinnedHeads.has(head_id)
    return isNeeded ? new UnknownArtifactError(artifact_id) : undefined
  }
  if (artifact.head_id !== null && artifact.head_id !== head_id) {
    return new HeadArtifactMismatchError(head_id, artifact_id, artifact.head_id)
  }
  if (
    parent_head_id !== null &&
    artifact.kind === 'DeltaPack' &&
    artifact.base_head_id !== parent_head_id
  ) {
    return new DeltaBaseHeadMismatchError(artifact_id, parent_head_id, artifact.base_head_id)
  }
  return undefined
}

/** By step, then time, but no head before its parent. Heads that descend from themselves come apart. */
function rootFirst(heads: ReadonlyMap<HeadId, HeadDescriptor>) {
  const rest = new Map(
    [...heads].sort(([, a], [, b]) => {
      const time = a.created_at < b.created_at ? -1 : Number(a.created_at > b.created_at)
      return a.global_step - b.global_step || time || (a.head_id < b.head_id ? -1 : 1)
    }),
  )
  const ordered: HeadDescriptor[] = []
  const circular: HeadDescriptor[] = []
  for (const start of rest.values()) {
    // Those above `start` that have no place yet, upwards; by hand, as a chain can be long.
    const chain = new Map<HeadId, HeadDescriptor>()
    let at: HeadDescriptor | undefined = start
    while (at !== undefined && rest.has(at.head_id) && !chain.has(at.head_id)) {
      chain.set(at.head_id, at)
      at = at.parent_head_id === null ? undefined : heads.get(at.parent_head_id)
    }
    const line = [...chain.values()]
    const circleStart = at !== undefined && chain.has(at.head_id) ? line.indexOf(at) : line.length
    ordered.push(...line.slice(0, circleStart).reverse())
    circular.push(...line.slice(circleStart))
    for (const { head_id } of line) rest.delete(head_id)
  }
  return { ordered, circular }
}

function ancestors(id: HeadId | null, heads: ReadonlyMap<HeadId, HeadDescriptor>): Set<HeadId> {
  const found = new Set<HeadId>()
  for (let at = id; at !== null && !found.has(at); at = heads.get(at)?.parent_head_id ?? null) {
    found.add(at)
  }
  return found
}
