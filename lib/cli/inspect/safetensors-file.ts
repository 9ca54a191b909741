/** Inspects a safetensors file. Only reads. */

import { createHash } from 'node:crypto'
import { readPieces, withIo } from '../../store/files.js'
import { readSafetensorsHeader, SafetensorsHeaderError } from '../../safetensors/index.js'
import { contentIdFromDigest } from '../../schema/index.js'
import type { Progress } from './progress.js'
import { problemOf, tensorReport, type Problem, type SafetensorsReport } from './report.js'

/**
 * @param path absolute
 * @param bytes the file's length
 * @param hash whether to hash the whole file; else only the header is read
 * @throws SafetensorsIoError, CheckpointIoError when the file cannot be read
 */
export async function inspectSafetensorsFile(
  path: string,
  bytes: number,
  hash: boolean,
  progress: Progress,
): Promise<SafetensorsReport> {
  const problems: Problem[] = []
  let content: SafetensorsReport['content'] = null
  try {
    content = tensorReport(await readSafetensorsHeader(path))
  } catch (error) {
    if (!(error instanceof SafetensorsHeaderError)) throw error
    problems.push(problemOf(error))
  }
  const contentId = hash ? await hashFile(path, bytes, progress) : null
  const ok = problems.length === 0
  return { kind: 'safetensors', path, ok, verified: hash, problems, bytes, contentId, content }
}

async function hashFile(path: string, bytes: number, progress: Progress): Promise<string> {
  return withIo(`read ${JSON.stringify(path)}`, async () => {
    const hash = createHash('sha256')
    progress.start(bytes)
    for await (const piece of readPieces(path)) {
      hash.update(piece)
      progress.add(piece.byteLength)
    }
    progress.end()
    return contentIdFromDigest(hash.digest())
  })
}
