/** Calls: options, progress, stats, handles, lent memory, values. Compiled, never run. */
import { expectTypeOf } from 'expect-type'
import {
  LentBuffer,
  ProgressStream,
  PyFloat,
  type CallOptions,
  type ModelHandle,
  type Progress,
  type ProgressListener,
  type PyInput,
  type PythonRuntime,
  type PyValue,
  type RuntimeState,
  type RuntimeStats,
  type WorkloadSession,
} from '../../lib/index.js'

declare const model: ModelHandle
declare const runtime: PythonRuntime
declare const session: WorkloadSession
declare const lent: LentBuffer

// --- options ------------------------------------------------------------------------------------

expectTypeOf<CallOptions['signal']>().toEqualTypeOf<AbortSignal | undefined>()
expectTypeOf<CallOptions['timeoutMs']>().toEqualTypeOf<number | undefined>()
expectTypeOf<CallOptions['onProgress']>().toEqualTypeOf<ProgressListener | undefined>()
expectTypeOf<object>().toExtend<Partial<CallOptions>>()
void session.call('evaluate', null, { signal: undefined, timeoutMs: undefined })
// @ts-expect-error a deadline is a number of milliseconds
void session.call('evaluate', null, { timeoutMs: '5s' })
// @ts-expect-error the name has its unit
void session.call('evaluate', null, { timeout: 5 })

// --- progress -----------------------------------------------------------------------------------

expectTypeOf<ProgressListener>().toEqualTypeOf<((progress: Progress) => void) | ProgressStream>()
expectTypeOf<Progress['step']>().toEqualTypeOf<number>()
expectTypeOf<Progress['total']>().toEqualTypeOf<number | null>()
expectTypeOf<Progress['metrics'][string]>().toEqualTypeOf<boolean | bigint | number | string>()
for await (const progress of new ProgressStream()) expectTypeOf(progress).toEqualTypeOf<Progress>()
void session.call('evaluate', null, {
  onProgress: ({ step, total }) => {
    // @ts-expect-error a hook may not know how many steps there are
    Math.round(step / total)
  },
})

// --- stats --------------------------------------------------------------------------------------

expectTypeOf<RuntimeState>().toEqualTypeOf<'idle' | 'running' | 'overdue' | 'closed'>()
expectTypeOf(runtime.state).toEqualTypeOf<RuntimeState>()
expectTypeOf(runtime.stats()).toEqualTypeOf<RuntimeStats>()
expectTypeOf<RuntimeStats['queued']>().toEqualTypeOf<number>()
expectTypeOf<RuntimeStats['running']>().toEqualTypeOf<{
  readonly method: string
  readonly ageMs: number
} | null>()
expectTypeOf<RuntimeStats['models']>().toEqualTypeOf<number | null>()
expectTypeOf<RuntimeStats['lent']>().toEqualTypeOf<{
  readonly buffers: number
  readonly bytes: number
}>()
expectTypeOf<RuntimeStats['memory']>().toEqualTypeOf<{
  readonly rss: number
  readonly arrayBuffers: number
}>()
// @ts-expect-error stats are facts of a moment, not settings
runtime.stats().queued = 0

// --- handles ------------------------------------------------------------------------------------

expectTypeOf<ModelHandle>().toExtend<AsyncDisposable>()
expectTypeOf(model.modelId).toEqualTypeOf<string>()
expectTypeOf(model.released).toEqualTypeOf<boolean>()
expectTypeOf(model.release()).resolves.toBeVoid()
// @ts-expect-error a handle is released by calling release()
model.released = true

// --- lent memory --------------------------------------------------------------------------------

expectTypeOf<(typeof LentBuffer)['allocate']>().parameters.toEqualTypeOf<[number]>()
expectTypeOf<(typeof LentBuffer)['transfer']>().parameters.toEqualTypeOf<[ArrayBuffer]>()
expectTypeOf<(typeof LentBuffer)['copyOf']>().parameters.toEqualTypeOf<
  [ArrayBufferView | ArrayBufferLike]
>()
expectTypeOf<(typeof LentBuffer)['transfer']>().returns.toEqualTypeOf<LentBuffer>()
expectTypeOf(lent.bytes()).toEqualTypeOf<Uint8Array<ArrayBuffer>>()
expectTypeOf(lent.take()).toEqualTypeOf<ArrayBuffer>()
expectTypeOf<LentBuffer>().toExtend<PyInput>()
// @ts-expect-error shared memory cannot be transferred
void LentBuffer.transfer(new SharedArrayBuffer(8))
// @ts-expect-error lent memory is made by its three functions
new LentBuffer(new ArrayBuffer(8), true)

// --- values -------------------------------------------------------------------------------------

expectTypeOf(session.call('evaluate')).resolves.toEqualTypeOf<PyValue>()
expectTypeOf<PyValue>().not.toExtend<PyFloat>()
expectTypeOf<Map<string, readonly number[]>>().toExtend<PyInput>()
expectTypeOf<{ a: Date; b: bigint; c: Uint8Array; d: PyFloat; e?: number }>().toExtend<PyInput>()
expectTypeOf<() => void>().not.toExtend<PyInput>()
expectTypeOf<symbol>().not.toExtend<PyInput>()
expectTypeOf<Set<string>>().not.toExtend<PyInput>()
expectTypeOf<Promise<number>>().not.toExtend<PyInput>()
