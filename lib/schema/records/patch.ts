/** Runtime patches (spec formats#enums, formats#untagged-values and formats#derived-ids). */

import type { Infer } from '../codec.js'
import { map, record, textSet, tuple } from '../containers.js'
import { contentIdOf } from '../content-id.js'
import { ContentId } from '../ids.js'
import { bool, text } from '../primitives.js'
import { PatchValue } from '../values.js'
import { names, variants } from '../variants.js'

/** What a patch needs: `Hot` nothing, `Warm` and `Cold` a new revision. */
export const PatchClass = names('PatchClass', 'Hot', 'Warm', 'Cold')
export type PatchClass = Infer<typeof PatchClass>

/** What became of a patch; a rejection says why. */
export const PatchOutcome = variants('PatchOutcome', {
  Applied: null,
  RequiresRestart: null,
  Rejected: text,
})
export type PatchOutcome = Infer<typeof PatchOutcome>

/** Which classes of patch a workload takes. */
export const PatchSupport = record('PatchSupport', { hot: bool, warm: bool, cold: bool })
export type PatchSupport = Infer<typeof PatchSupport>

/** Whether a workload with this support takes patches of the class. */
export function supportsPatch(support: PatchSupport, patchClass: PatchClass): boolean {
  return { Hot: support.hot, Warm: support.warm, Cold: support.cold }[patchClass]
}

const PatchValues = map(PatchValue)

/** A change of settings during training. In `values`, integers are `bigint` and floats `number`. */
export const RuntimePatch = record('RuntimePatch', {
  patch_id: ContentId,
  class: PatchClass,
  summary: text,
  values: PatchValues,
  required_client_capabilities: textSet(),
})
export type RuntimePatch = Infer<typeof RuntimePatch>

/** The tuple that a patch's id is made of, in hash order, which is not the record's. */
export const patchHash = tuple('patch hash', text, PatchClass, PatchValues, textSet())

/** The id of a patch, from everything else in it (spec formats#derived-ids). */
export function patchId(patch: Omit<RuntimePatch, 'patch_id'>): ContentId {
  return contentIdOf(patchHash, [
    patch.summary,
    patch.class,
    patch.values,
    patch.required_client_capabilities,
  ])
}

/**
 * A patch with its id.
 *
 * @example runtimePatch({ class: 'Hot', summary: 'lr', values: { learning_rate: 0.0002 } })
 */
export function runtimePatch(
  patch: Pick<RuntimePatch, 'class' | 'summary' | 'values'> &
    Partial<Pick<RuntimePatch, 'required_client_capabilities'>>,
): RuntimePatch {
  const full = { required_client_capabilities: [], ...patch }
  return { patch_id: patchId(full), ...full }
}
