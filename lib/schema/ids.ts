/**
 * Typed ids (spec section 7.1). On the wire each is a plain string; most hold a content id, but any text is
 * legal. A plain string may be assigned to any of them; a `HeadId` is not a `PeerId`.
 *
 * An id from a peer is not a safe file name: see path-component.ts.
 */

import type { Flavoured } from './flavour.js'
import { textOf, u64 } from './primitives.js'

type Id<Name extends string> = Flavoured<string, Name>

const id = <Name extends string>(name: Name) => textOf<Id<Name>>(name)

export const ArtifactId = id('ArtifactId')
export type ArtifactId = Id<'ArtifactId'>

export const ChunkId = id('ChunkId')
export type ChunkId = Id<'ChunkId'>

export const ContentId = id('ContentId')
export type ContentId = Id<'ContentId'>

export const ContributionReceiptId = id('ContributionReceiptId')
export type ContributionReceiptId = Id<'ContributionReceiptId'>

export const DatasetId = id('DatasetId')
export type DatasetId = Id<'DatasetId'>

export const DatasetViewId = id('DatasetViewId')
export type DatasetViewId = Id<'DatasetViewId'>

export const ExperimentId = id('ExperimentId')
export type ExperimentId = Id<'ExperimentId'>

export const HeadId = id('HeadId')
export type HeadId = Id<'HeadId'>

export const LeaseId = id('LeaseId')
export type LeaseId = Id<'LeaseId'>

export const MergeCertId = id('MergeCertId')
export type MergeCertId = Id<'MergeCertId'>

export const MicroShardId = id('MicroShardId')
export type MicroShardId = Id<'MicroShardId'>

export const NetworkId = id('NetworkId')
export type NetworkId = Id<'NetworkId'>

export const PeerId = id('PeerId')
export type PeerId = Id<'PeerId'>

export const RevisionId = id('RevisionId')
export type RevisionId = Id<'RevisionId'>

export const StudyId = id('StudyId')
export type StudyId = Id<'StudyId'>

export const WorkloadId = id('WorkloadId')
export type WorkloadId = Id<'WorkloadId'>

/** Training windows are numbered from 0; on the wire a plain number. */
export const WindowId = u64
export type WindowId = number
