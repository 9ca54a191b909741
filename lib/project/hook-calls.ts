/** Calls of a workload's own hooks: parameters taken apart, answers put together. */

import { ProtocolError, type TorchbedError } from '../errors.js'
import { errorFromFailure } from '../runtime/failures.js'
import type { CallOptions, WorkloadSession } from '../runtime/python-runtime.js'
import type { PyInput, PyValue } from '../runtime/values.js'
import {
  memoriesFor,
  putTogether,
  readPlaces,
  takeApart,
  type HookOutput,
  type OutputPlace,
} from './hook-values.js'
import type { ModelHandle } from './model-handle.js'

/** Which hook, and what it is given. `input` undefined: nothing beside the model's state. */
export interface HookCall {
  readonly session: WorkloadSession
  readonly model: ModelHandle | null
  readonly hook: string
  readonly input: unknown
}

/** What a hook answered to a batch of calls. */
export interface BatchAnswer {
  readonly output: HookOutput
  /** Of the items that failed alone, by their number. */
  readonly failed: ReadonlyMap<number, TorchbedError>
}

/** What a stream gave in one call. */
export interface StreamSlice {
  readonly items: HookOutput[]
  /** Whether the generator has ended. */
  readonly isDone: boolean
}

/** Calls a hook and returns its result. */
export async function callHook(call: HookCall, options?: CallOptions): Promise<HookOutput> {
  return outputOf(
    call,
    await ask(call.session, 'call_hook', hookParameters(call), options),
    options,
  )
}

/** Calls a hook with the inputs of `size` calls in one. */
export async function callBatch(
  call: HookCall,
  size: number,
  options?: CallOptions,
): Promise<BatchAnswer> {
  const params = hookParameters(call)
  params.set('batch', size)
  const answer = await ask(call.session, 'call_hook', params, options)
  const { failed = [] } = answer
  if (!Array.isArray(failed)) throw new ProtocolError(`the failures of ${call.hook} are not a list`)
  return {
    output: await outputOf(call, answer, options),
    failed: new Map(failed.map((entry) => itemFailure(call.hook, entry))),
  }
}

function itemFailure(hook: string, entry: PyValue): [number, TorchbedError] {
  const [index, failure] = entry as [PyValue, Record<string, PyValue>]
  const text = (name: string): string => {
    const value = failure[name]
    return typeof value === 'string' ? value : ''
  }
  const facts = {
    code: text('code'),
    message: text('message'),
    traceback: text('traceback'),
    pythonType: text('python_type'),
    path: '',
  }
  return [Number(index), errorFromFailure(facts, hook)]
}

async function outputOf(
  call: HookCall,
  answer: Record<string, PyValue>,
  options?: CallOptions,
): Promise<HookOutput> {
  const { output = null, result_id } = answer
  const apart = [{ value: output, places: readPlaces(answer.places) }]
  const [whole] = await filled(call, apart, result_id, options)
  return whole as HookOutput
}

/** Calls a generator hook, and takes its first item. Returns the stream's id too. */
export async function openStream(
  call: HookCall,
  options?: CallOptions,
): Promise<StreamSlice & { readonly id: string }> {
  const params = hookParameters(call)
  params.set('most', 1)
  const answer = await ask(call.session, 'open_stream', params, options)
  const { stream_id: id } = answer
  if (typeof id !== 'string') throw new ProtocolError('a stream was opened without an id')
  return { id, ...(await sliceOf(call.session, call.hook, answer, options)) }
}

/** Takes up to `most` items. `hook` names the stream in errors. */
export async function nextItems(
  session: WorkloadSession,
  { id, hook, most }: { readonly id: string; readonly hook: string; readonly most: number },
  options?: CallOptions,
): Promise<StreamSlice> {
  const params = { hook, stream_id: id, most }
  return sliceOf(session, hook, await ask(session, 'next_items', params, options), options)
}

/** Lets the generator end, which runs its `finally`. An unknown one has ended. */
export async function closeStream(
  session: WorkloadSession,
  { id, hook }: { readonly id: string; readonly hook: string },
): Promise<void> {
  if (!session.closed) await session.call('close_stream', { hook, stream_id: id })
}

function hookParameters({ session, model, hook, input }: HookCall): Map<string, PyInput> {
  const lendsMemory = session.lendsMemory === true
  const params = new Map<string, PyInput>([['hook', hook]])
  if (model !== null) params.set('model_id', model.idFor(session, hook))
  if (input !== undefined) {
    const { value, places } = takeApart(input, lendsMemory)
    params.set('input', value)
    if (places.length > 0) params.set('places', places)
  }
  if (!lendsMemory) params.set('as_text', true)
  return params
}

async function ask(
  session: WorkloadSession,
  method: string,
  params: PyInput,
  options?: CallOptions,
): Promise<Record<string, PyValue>> {
  const answer = await session.call(method, params, options)
  if (answer === null || typeof answer !== 'object' || Array.isArray(answer)) {
    throw new ProtocolError(`the answer to ${method} is not an object`)
  }
  return answer as Record<string, PyValue>
}

interface ApartOutput {
  readonly value: PyValue
  readonly places: readonly OutputPlace[]
}

async function sliceOf(
  session: WorkloadSession,
  hook: string,
  answer: Record<string, PyValue>,
  options?: CallOptions,
): Promise<StreamSlice> {
  const { items, done, places = [], result_id } = answer
  if (!Array.isArray(items) || !Array.isArray(places)) {
    throw new ProtocolError(`the items of the stream ${hook} are not a list`)
  }
  const placesOf = new Map<number, readonly OutputPlace[]>()
  for (const entry of places) {
    const [index, at] = entry as PyValue[]
    placesOf.set(Number(index), readPlaces(at))
  }
  const apart = items.map((value, index) => ({ value, places: placesOf.get(index) ?? [] }))
  return {
    items: await filled({ session, hook }, apart, result_id, options),
    isDone: done === true,
  }
}

/** Puts values together; the last one's tensors may wait to be filled, as the result `resultId`. */
async function filled(
  { session, hook }: Pick<HookCall, 'session' | 'hook'>,
  apart: readonly ApartOutput[],
  resultId: PyValue | undefined,
  options?: CallOptions,
): Promise<HookOutput[]> {
  const memories = typeof resultId === 'string' ? memoriesFor(apart.at(-1)?.places ?? []) : []
  if (typeof resultId === 'string') {
    try {
      await session.call('fill_result', { hook, result_id: resultId, memories }, options)
    } catch (error) {
      session.releaseModel(resultId)
      throw error
    }
  }
  return apart.map(({ value, places }, index) =>
    putTogether(value, places, index === apart.length - 1 ? memories : []),
  )
}
