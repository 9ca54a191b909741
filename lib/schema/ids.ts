/**
 * Typed ids (spec formats#content-ids). On the wire each is a plain string; most hold a content id, but any text is
 * legal. A plain string may be assigned to any of them; a `HeadId` is not a `PeerId`.
 *
 * An id from a peer is not a safe file name: see path-component.ts.
 */

import type { Flavoured } from './branded.js'
import { textOf, u64 } from './primitives.js'

/** A string that the type system keeps apart from other ids. */
export type Id<Name extends string> = Flavoured<string, Name>

const id = <Name extends string>(name: Name) => textOf<Id<Name>>(name)

/** Names an artifact: the content id of its descriptor without the id. */
export const ArtifactId = id('ArtifactId')
export type ArtifactId = Id<'ArtifactId'>

/** Names a chunk of an artifact: the same text as the chunk's hash. */
export const ChunkId = id('ChunkId')
export type ChunkId = Id<'ChunkId'>

/** Names the result of a merge before it is promoted. */
export const AggregateId = id('AggregateId')
export type AggregateId = Id<'AggregateId'>

/** A content id: `1220` and a SHA-256 in hexadecimal, 68 characters; `isContentId` checks the form. */
export const ContentId = id('ContentId')
export type ContentId = Id<'ContentId'>

/** Names the receipt of one contribution to a merge. */
export const ContributionReceiptId = id('ContributionReceiptId')
export type ContributionReceiptId = Id<'ContributionReceiptId'>

/** Names a dataset. */
export const DatasetId = id('DatasetId')
export type DatasetId = Id<'DatasetId'>

/** Names one prepared form of a dataset: its preprocessing and its tokenizer. */
export const DatasetViewId = id('DatasetViewId')
export type DatasetViewId = Id<'DatasetViewId'>

/** Names an experiment of a study. */
export const ExperimentId = id('ExperimentId')
export type ExperimentId = Id<'ExperimentId'>

/** Names a head: a published state of a model, with the head that it came from. */
export const HeadId = id('HeadId')
export type HeadId = Id<'HeadId'>

/** Names a lease: a peer, a window, and the microshards that it trains on. */
export const LeaseId = id('LeaseId')
export type LeaseId = Id<'LeaseId'>

/** Names the certificate of a merge. */
export const MergeCertId = id('MergeCertId')
export type MergeCertId = Id<'MergeCertId'>

/** Names a microshard of a plan. */
export const MicroShardId = id('MicroShardId')
export type MicroShardId = Id<'MicroShardId'>

/** Names a network of peers. */
export const NetworkId = id('NetworkId')
export type NetworkId = Id<'NetworkId'>

/** Names a peer. */
export const PeerId = id('PeerId')
export type PeerId = Id<'PeerId'>

/** Names a revision of an experiment. */
export const RevisionId = id('RevisionId')
export type RevisionId = Id<'RevisionId'>

/** Names a study: experiments that belong together. */
export const StudyId = id('StudyId')
export type StudyId = Id<'StudyId'>

/** Names a workload that peers support. */
export const WorkloadId = id('WorkloadId')
export type WorkloadId = Id<'WorkloadId'>

/** Training windows are numbered from 0; on the wire a plain number. */
export const WindowId = u64
export type WindowId = number
