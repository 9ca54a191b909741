/** Records and their ids, and the codes of errors. Compiled, never run. */
import { expectTypeOf } from 'expect-type'
import {
  AbortError,
  ConfigError,
  DeadlineError,
  HookRaisedError,
  TorchbedError,
  WorkerExitedError,
  type TorchProject,
} from '../../lib/index.js'
import {
  ArtifactDescriptor,
  HeadId,
  PythonBatchRef,
  type ArtifactId,
  type ChunkId,
  type Codec,
  type ContentId,
  type EvalSplit,
  type HeadDescriptor,
  type Infer,
  type JsonValue,
  type LeaseId,
  type MicroShardId,
  type PeerId,
} from '../../lib/schema/index.js'
import { RevisionMismatchError, type ConfigIssue } from '../../lib/errors.js'

declare const head: HeadId
declare const peer: PeerId

// --- ids ----------------------------------------------------------------------------------------

expectTypeOf<HeadId>().not.toExtend<PeerId>()
expectTypeOf<ArtifactId>().not.toExtend<ContentId>()
expectTypeOf<ChunkId>().not.toExtend<ArtifactId>()
// A plain text is any id, and every id is a text.
expectTypeOf<string>().toExtend<HeadId>()
expectTypeOf<HeadId>().toExtend<string>()
// @ts-expect-error a peer is no head
void ((): HeadId => peer)()
// @ts-expect-error a number is no id
void ((): HeadId => 7)()
expectTypeOf(HeadId).toEqualTypeOf<Codec<HeadId>>()
expectTypeOf(HeadId.fromJson('"h"')).toEqualTypeOf<HeadId>()

// --- records ------------------------------------------------------------------------------------

expectTypeOf<Infer<typeof ArtifactDescriptor>>().toEqualTypeOf<ArtifactDescriptor>()
expectTypeOf(ArtifactDescriptor.fromJson('{}')).toEqualTypeOf<ArtifactDescriptor>()
expectTypeOf<ArtifactDescriptor['artifact_id']>().toEqualTypeOf<ArtifactId>()
expectTypeOf<ArtifactDescriptor['head_id']>().toEqualTypeOf<HeadId | null>()
expectTypeOf<ArtifactDescriptor['bytes_len']>().toEqualTypeOf<number>()
expectTypeOf<HeadDescriptor['artifact_id']>().toEqualTypeOf<ArtifactId>()
expectTypeOf<HeadDescriptor['head_id']>().toEqualTypeOf<HeadId>()
expectTypeOf<EvalSplit>().toEqualTypeOf<
  'Train' | 'Validation' | 'Test' | { readonly Custom: string }
>()

declare const descriptor: ArtifactDescriptor
// @ts-expect-error a record does not change: its id is the hash of its content
descriptor.bytes_len = 0
// @ts-expect-error an artifact's id is no head's
void ((): HeadId => descriptor.artifact_id)()
// Records keep the names of the wire.
expectTypeOf(descriptor).not.toHaveProperty('artifactId')

declare const batch: PythonBatchRef
expectTypeOf(batch.kind).toEqualTypeOf<'cached_microshard_group' | 'micro_epoch'>()
expectTypeOf(batch.microshard_ids).toEqualTypeOf<readonly MicroShardId[]>()
if (batch.kind === 'micro_epoch') {
  expectTypeOf(batch.lease_id).toEqualTypeOf<LeaseId>()
  expectTypeOf(batch.payload).toEqualTypeOf<JsonValue>()
  expectTypeOf(batch).not.toHaveProperty('shard_paths')
} else {
  expectTypeOf(batch.shard_paths).toEqualTypeOf<readonly string[]>()
}

// --- errors -------------------------------------------------------------------------------------

expectTypeOf<TorchbedError>().toExtend<Error>()
expectTypeOf<TorchbedError['code']>().toEqualTypeOf<string>()
expectTypeOf<AbortError['code']>().toEqualTypeOf<'ABORT_ERR'>()
expectTypeOf<AbortError['stateChanged']>().toEqualTypeOf<boolean | undefined>()
expectTypeOf<DeadlineError['code']>().toEqualTypeOf<'ERR_DEADLINE'>()
expectTypeOf<DeadlineError['overdue']>().toEqualTypeOf<boolean>()
expectTypeOf<HookRaisedError['code']>().toEqualTypeOf<'ERR_HOOK_RAISED'>()
expectTypeOf<HookRaisedError['pythonTraceback']>().toEqualTypeOf<string>()
expectTypeOf<ConfigError['issues']>().toEqualTypeOf<readonly ConfigIssue[]>()
expectTypeOf<WorkerExitedError['signal']>().toEqualTypeOf<NodeJS.Signals | null>()
expectTypeOf<RevisionMismatchError['field']>().toEqualTypeOf<
  'workload_id' | 'model_schema_hash' | 'checkpoint_format_hash'
>()

// The code tells the class, and with it what the error carries.
declare const failure: AbortError | DeadlineError | HookRaisedError
switch (failure.code) {
  case 'ERR_HOOK_RAISED':
    expectTypeOf(failure.pythonType).toEqualTypeOf<string>()
    break
  case 'ERR_DEADLINE':
    expectTypeOf(failure).toEqualTypeOf<DeadlineError>()
    break
  case 'ABORT_ERR':
    expectTypeOf(failure).toEqualTypeOf<AbortError>()
    break
  default:
    expectTypeOf(failure).toBeNever()
}
// @ts-expect-error the base has no code of its own
new TorchbedError('nothing')
// @ts-expect-error codes do not change
failure.code = 'ABORT_ERR'

declare const project: TorchProject
// @ts-expect-error a head's id names no workload
project.switchRuntimeWorkload(head) // eslint-disable-line @typescript-eslint/no-deprecated
