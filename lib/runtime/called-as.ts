/** What errors call a method of the workload protocol: what was asked for, rather than a step of it. */

import type { PyInput } from './values.js'

/** Steps that no caller knows of, by what they are steps of. */
const STEPS: ReadonlyMap<string, string> = new Map([
  ['plan_model_memory', 'materialize_model_artifact'],
  ['fill_model_memory', 'materialize_model_artifact'],
  ['load_model_memory', 'load_model_artifact'],
])

/** Methods that call a hook of the workload's own, which their parameters name. */
const HOOK_CALLS = new Set([
  'call_hook',
  'fill_result',
  'open_stream',
  'next_items',
  'close_stream',
])

/** The name of a call in errors, and in `stats().running`. */
export function calledAs(method: string, params: PyInput): string {
  if (!HOOK_CALLS.has(method)) return STEPS.get(method) ?? method
  const hook =
    params instanceof Map
      ? (params as ReadonlyMap<unknown, unknown>).get('hook')
      : (params as Readonly<Record<string, unknown>> | null)?.hook
  return typeof hook === 'string' ? hook : method
}
