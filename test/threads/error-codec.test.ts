import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { types } from 'node:util'

import * as lineageErrors from '../../lib/lineage/errors.js'
import * as storeErrors from '../../lib/store/errors.js'
import { threadErrors } from '../../lib/store/thread-errors.js'
import { AbortError, ConfigError, TorchbedError } from '../../lib/errors.js'

/** As it would come out on another thread. */
function posted(thrown: unknown): unknown {
  return threadErrors.decode(structuredClone(threadErrors.encode(thrown)))
}

function fieldsOf(error: Error): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(error))
}

/** Arguments of every class, so that each field has a value of its own. */
const cause = new Error('why')
const { CheckpointError, ...classes } = { ...lineageErrors, ...storeErrors }
const samples: Readonly<Record<keyof typeof classes, TorchbedError>> = {
  DuplicateArtifactError: new classes.DuplicateArtifactError('a'),
  DuplicateHeadError: new classes.DuplicateHeadError('h'),
  UnknownArtifactError: new classes.UnknownArtifactError('a', { cause }),
  UnknownHeadError: new classes.UnknownHeadError('h', { cause }),
  UnknownReceiptError: new classes.UnknownReceiptError('r'),
  MissingParentHeadError: new classes.MissingParentHeadError('h'),
  HeadArtifactMismatchError: new classes.HeadArtifactMismatchError('h', 'a', 'other'),
  DeltaBaseHeadMismatchError: new classes.DeltaBaseHeadMismatchError('a', 'h', null),
  EmptyMergeCandidateError: new classes.EmptyMergeCandidateError(),
  ConflictingContributionError: new classes.ConflictingContributionError('r'),
  UnknownContributionArtifactError: new classes.UnknownContributionArtifactError('r', 'a'),
  NonPositiveContributionWeightError: new classes.NonPositiveContributionWeightError('r', NaN),
  MixedBaseHeadError: new classes.MixedBaseHeadError('r', 'h', null),
  MixedContributionScopeError: new classes.MixedContributionScopeError('r', 'x', 'y'),
  InvalidEmaDecayError: new classes.InvalidEmaDecayError(2),
  InvalidChunkSizeError: new classes.InvalidChunkSizeError('zero', { cause }),
  ChunkLengthMismatchError: new classes.ChunkLengthMismatchError('c', 1, 2),
  ChunkHashMismatchError: new classes.ChunkHashMismatchError('c', 'hash'),
  UnknownChunkError: new classes.UnknownChunkError('c', { cause }),
  ArtifactRootHashMismatchError: new classes.ArtifactRootHashMismatchError('a', 'x', 'y'),
  ChunkSourcesExhaustedError: new classes.ChunkSourcesExhaustedError('a', 2, ['peer: gone']),
  ArtifactLengthMismatchError: new classes.ArtifactLengthMismatchError('a', 1, 2),
  ArtifactTooLongError: new classes.ArtifactTooLongError('a', 3, 2),
  InvalidDescriptorError: new classes.InvalidDescriptorError('a', 'it lies', { cause }),
  InvalidSourceError: new classes.InvalidSourceError('no bytes'),
  InvalidIdError: new classes.InvalidIdError('too long', { cause }),
  InvalidRecordError: new classes.InvalidRecordError('/path', 'torn', { cause }),
  ConflictingRecordError: new classes.ConflictingRecordError('/path', 'h'),
  InsufficientSpaceError: new classes.InsufficientSpaceError('/path', 2, 1),
  CheckpointIoError: new classes.CheckpointIoError('write', cause),
  StoreThreadError: new classes.StoreThreadError(3, { cause }),
}

describe('an error on its way to another thread', () => {
  for (const [name, error] of Object.entries(samples)) {
    it(`keeps class, code, fields and message: ${name}`, () => {
      const copy = posted(error)
      assert(copy instanceof Error && types.isNativeError(copy))
      assert.equal(copy.constructor, error.constructor)
      assert(copy instanceof CheckpointError)
      assert.deepEqual(fieldsOf(copy), fieldsOf(error))
      assert.equal(copy.message, error.message)
      assert.equal(copy.stack, error.stack)
      assert.deepEqual(copy.cause, error.cause)
      assert.equal(Object.hasOwn(copy, 'cause'), Object.hasOwn(error, 'cause'))
    })
  }

  it('keeps the fields of an error of the system, as a cause too', async () => {
    const error: unknown = await stat('/no/such/file').catch((thrown: unknown) => thrown)
    const fields = { code: 'ENOENT', syscall: 'stat', path: '/no/such/file' }
    const copy = posted(new storeErrors.CheckpointIoError('look', error))
    assert(copy instanceof storeErrors.CheckpointIoError && copy.cause instanceof Error)
    assert.deepEqual(fieldsOf(copy.cause), fieldsOf(error as Error))
    for (const [field, value] of Object.entries(fields)) {
      assert.equal(fieldsOf(copy.cause)[field], value)
    }
  })

  it('keeps the errors of the rest of torchbed, and of the language', () => {
    const config = new ConfigError('Cannot read it', [{ path: 'a.b', message: 'is missing' }])
    const copy = posted(config)
    assert(copy instanceof ConfigError)
    assert.deepEqual(copy.issues, config.issues)
    assert(posted(new AbortError('stopped', { cause: 'because' })) instanceof AbortError)
    assert(posted(new TypeError('wrong')) instanceof TypeError)
  })

  it('becomes a plain Error of the same name when its class is not known, without what cannot cross', () => {
    class OddError extends Error {
      override readonly name = 'OddError'
      readonly count = 3
      readonly callback = () => undefined
    }
    const copy = posted(new OddError('odd'))
    assert(copy instanceof Error)
    assert.equal(copy.name, 'OddError')
    assert.equal(copy.message, 'odd')
    assert.equal(fieldsOf(copy).count, 3)
    assert(!('callback' in copy))
  })

  it('may be no error at all', () => {
    assert.equal(posted('text'), 'text')
    assert.equal(posted(undefined), undefined)
    assert.equal(posted(Symbol('s')), 'Symbol(s)')
  })
})
