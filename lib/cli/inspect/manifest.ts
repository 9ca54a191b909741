/** Inspects one manifest, and verifies it against the store around it. Only reads. */

import { basename, dirname } from 'node:path'
import { checkArtifactDescriptor, FsArtifactStore, InvalidRecordError } from '../../store/index.js'
import { readRecord, withIo } from '../../store/files.js'
import { ConfigError } from '../../errors.js'
import { ArtifactDescriptor } from '../../schema/index.js'
import { checkArtifact } from './artifact.js'
import type { Progress } from './progress.js'
import { problemOf, type ManifestReport, type Problem } from './report.js'

/**
 * @param path absolute
 * @throws CheckpointIoError when the file cannot be read; ConfigError when it is no manifest and in no store
 */
export async function inspectManifest(
  path: string,
  verify: boolean,
  progress: Progress,
): Promise<ManifestReport> {
  const store = storeAround(path)
  const problems: Problem[] = []
  const check = (run: () => void) => {
    try {
      run()
    } catch (error) {
      problems.push(problemOf(error))
    }
  }
  const report = (artifact: ManifestReport['artifact'], verified: boolean): ManifestReport => ({
    kind: 'manifest',
    path,
    ok: problems.length === 0,
    verified,
    problems,
    store: store?.root ?? null,
    artifact,
  })

  let descriptor: ArtifactDescriptor | undefined
  try {
    descriptor = await withIo(`read ${JSON.stringify(path)}`, () =>
      readRecord(path, ArtifactDescriptor),
    )
  } catch (error) {
    if (!(error instanceof InvalidRecordError)) throw error
    // Some other JSON file is not damaged.
    if (store === null) throw noManifest(path, error)
    problems.push(problemOf(error))
  }
  if (descriptor === undefined) return report(null, false)

  const { artifact_id, chunks, ...rest } = descriptor
  check(() => checkArtifactDescriptor({ artifact_id, chunks, ...rest }))
  if (store === null) {
    const state = problems.length === 0 ? 'present' : 'damaged'
    const content = { content: null, tensorsNote: null }
    const chunkCount = chunks.length
    return report({ artifact_id, ...rest, state, chunkCount, chunks, ...content }, false)
  }
  check(() => {
    if (store.manifestPath(artifact_id) === path) return
    throw new InvalidRecordError(path, `it is the record of ${JSON.stringify(artifact_id)}`)
  })
  if (verify) progress.start(rest.bytes_len)
  const options = { verify, onVerified: (bytes: number) => progress.add(bytes) }
  const found = await checkArtifact(store, descriptor, options, problems)
  progress.end()
  problems.splice(0, problems.length, ...found.problems)
  return report({ ...found.report, chunks }, verify)
}

function noManifest(path: string, { cause, problem }: InvalidRecordError): ConfigError {
  const issues = cause instanceof ConfigError ? cause.issues : [{ path: '', message: problem }]
  return new ConfigError(`There is no manifest in ${JSON.stringify(path)}`, issues)
}

/** The store in which `path` is `artifacts/manifests/<file>`. */
function storeAround(path: string): FsArtifactStore | null {
  const manifests = dirname(path)
  const artifacts = dirname(manifests)
  if (basename(manifests) !== 'manifests' || basename(artifacts) !== 'artifacts') return null
  return new FsArtifactStore(dirname(artifacts))
}
