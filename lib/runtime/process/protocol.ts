/** Requests and responses of the worker protocol, versions 1 and 2 (spec worker-protocol). */
import { ProtocolError } from '../../errors.js'
import { describe } from '../../schema/describe.js'
import type { CallFailure } from '../failures.js'
import { frameOf } from './protocol-frames.js'
import { readPythonJson } from './protocol-read.js'
import type { PyValue } from '../values.js'

/** Versions that are understood; they differ in their methods alone. */
export const PROTOCOL_VERSIONS = [1n, 2n]

/** What our worker says while a call runs; it belongs to no version of the protocol. */
export interface ProgressResponse {
  readonly progress: PyValue
}

/** What came back. */
export type Response =
  | ProgressResponse
  | { readonly ok: true; readonly result: PyValue }
  | { readonly ok: false; readonly failure: CallFailure }

/** What our worker takes beside a request, and others do not know. */
interface RequestFlags {
  readonly progress?: boolean
  readonly urgent?: boolean
}

/** `params`: JSON text. `flags`: for our worker alone. */
export function requestFrame(
  id: number,
  method: string,
  params: string,
  flags: RequestFlags = {},
): Buffer {
  const progress = flags.progress === true ? ',"progress":true' : ''
  const urgent = flags.urgent === true ? ',"urgent":true' : ''
  const call = `"id":${id},"method":${JSON.stringify(method)},"params":${params}`
  return frameOf(`{${call}${progress}${urgent}}`)
}

/**
 * Reads the response to request `id`, or to one of `others`, whose response comes when it likes.
 * Throws {@link ProtocolError}, which names the method, for anything that is none.
 */
export function readResponse(
  frame: Uint8Array,
  id: number,
  method: string,
  others: ReadonlyMap<number, unknown> = new Map(),
): Response & { readonly id: number } {
  if (frame.length === 0) {
    throw new ProtocolError(`read python rpc response ${method}: the worker sent an empty response`)
  }
  let response: PyValue
  try {
    response = readPythonJson(frame)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new ProtocolError(`decode python rpc response ${method}: ${reason}`, { cause })
  }
  if (!isObject(response)) {
    throw new ProtocolError(`decode python rpc response ${method}: it is not an object`)
  }
  const isOther = typeof response.id === 'bigint' && others.has(Number(response.id))
  if (!isOther && response.id !== BigInt(id)) {
    throw new ProtocolError(
      `python rpc response id mismatch for ${method}: expected ${id}, got ${describe(response.id)}`,
    )
  }
  const own = { id: isOther ? Number(response.id) : id }
  if (Array.isArray(response.progress)) return { ...own, progress: response.progress }
  if (response.ok === true) return { ...own, ok: true, result: response.result ?? null }
  if (response.ok === false && typeof response.error === 'string') {
    const failure = ownFailure(response.failure) ?? foreignFailure(response.error)
    return { ...own, ok: false, failure }
  }
  throw new ProtocolError(
    `decode python rpc response ${method}: "ok" must be true, or false with a text as "error"`,
  )
}

function isObject(value: PyValue | undefined): value is Record<string, PyValue> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What our worker adds to an error; others ignore it, or do not have it. */
function ownFailure(value: PyValue | undefined): CallFailure | undefined {
  if (!isObject(value)) return undefined
  const { code, message, python_type: pythonType, traceback, path = '' } = value
  if (typeof code !== 'string' || typeof message !== 'string') return undefined
  if (typeof pythonType !== 'string' || typeof traceback !== 'string') return undefined
  const stateChanged = typeof value.state_changed === 'boolean' ? value.state_changed : undefined
  const place = typeof path === 'string' ? path : ''
  return { code, message, pythonType, traceback, path: place, stateChanged }
}

/** Failures of third-party workers that have a class, by the start of their text. */
const KNOWN_TEXTS = [
  ['unknown method ', 'ERR_UNKNOWN_METHOD'],
  ['unsupported metric value', 'ERR_METRIC_VALUE'],
] as const

/** An error as the reference words it: the exception's text, a line end, the traceback. */
function foreignFailure(error: string): CallFailure {
  const start = error.indexOf('\nTraceback (most recent call last):\n')
  const message = start === -1 ? error.trimEnd() : error.slice(0, start)
  const traceback = start === -1 ? '' : error.slice(start + 1)
  const known = KNOWN_TEXTS.find(([text]) => message.startsWith(text))
  const pythonType = exceptionType(traceback)
  return { code: known?.[1] ?? 'ERR_HOOK_RAISED', message, pythonType, traceback, path: '' }
}

/** The type in front of the text below the last frame; empty when it cannot be told. */
function exceptionType(traceback: string): string {
  const lines = traceback.split('\n')
  const last = lines.findLastIndex((line) => line.startsWith('  '))
  return /^[A-Za-z_][\w.]*/.exec(lines[last + 1] ?? '')?.[0] ?? ''
}
