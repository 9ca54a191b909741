/** What peers may do: roles and scopes, in sets whose order is that of their declaration (spec network-records#roles-and-scopes). */

import { compareUtf8 } from '../../../json/wire.js'
import type { Infer } from '../../codec.js'
import { record, setOf } from '../../containers.js'
import { ExperimentId, StudyId } from '../../ids.js'
import { names, variants } from '../../variants.js'

const ROLES = [
  'Bootstrap',
  'Authority',
  'Validator',
  'Archive',
  'Reducer',
  'TrainerGpu',
  'TrainerCpu',
  'Evaluator',
  'Viewer',
  'BrowserObserver',
  'BrowserVerifier',
  'BrowserTrainerWgpu',
  'BrowserFallback',
  'BrowserTrainer',
  'RelayHelper',
] as const

/** A part that a peer plays in a network. */
export const PeerRole = names('PeerRole', ...ROLES)
export type PeerRole = Infer<typeof PeerRole>

/** Orders roles as sets of them are written. */
export function comparePeerRoles(a: PeerRole, b: PeerRole): number {
  return ROLES.indexOf(a) - ROLES.indexOf(b)
}

/** A bare list of roles, as a set. */
export const PeerRoles = setOf(PeerRole, comparePeerRoles)

/** A set of roles as a record. */
export const PeerRoleSet = record('PeerRoleSet', { roles: PeerRoles })
export type PeerRoleSet = Infer<typeof PeerRoleSet>

const ofExperiment = record('scope of an experiment', { experiment_id: ExperimentId })

/** Something that a certificate lets a peer do. */
export const ExperimentScope = variants('ExperimentScope', {
  Connect: null,
  Discover: null,
  Train: ofExperiment,
  Validate: ofExperiment,
  Archive: ofExperiment,
  Admin: record('scope of a study', { study_id: StudyId }),
})
export type ExperimentScope = Infer<typeof ExperimentScope>

const SCOPES = ['Connect', 'Discover', 'Train', 'Validate', 'Archive', 'Admin']

/** Orders scopes as sets of them are written: by kind, then by the id inside. 0 means the same scope. */
export function compareExperimentScopes(a: ExperimentScope, b: ExperimentScope): number {
  const [kindA, idA] = partsOf(a)
  const [kindB, idB] = partsOf(b)
  return SCOPES.indexOf(kindA) - SCOPES.indexOf(kindB) || compareUtf8(idA, idB)
}

function partsOf(scope: ExperimentScope): [string, string] {
  if (typeof scope === 'string') return [scope, '']
  const [kind = '', content] = Object.entries(scope)[0] ?? []
  return [kind, Object.values<string>(content as Readonly<Record<string, string>>)[0] ?? '']
}

/** A list of scopes, as a set. */
export const ExperimentScopes = setOf(ExperimentScope, compareExperimentScopes)
