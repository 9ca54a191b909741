/** Stores in temporary folders, other processes that use them, and what lies on the disk. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

import {
  buildArtifactDescriptor,
  chunkingScheme,
  type ArtifactBuildSpec,
} from '../../lib/store/index.js'
import { artifactId, type ArtifactDescriptor } from '../../lib/schema/index.js'

/** The artifact of spec formats#golden-vectors. */
export const SERVE_HEAD: ArtifactBuildSpec = {
  kind: 'ServeHead',
  head_id: 'serve-head',
  precision: 'Fp16',
  model_schema_hash: 'model-schema',
  record_format: 'burn-store:safetensors',
}

export const ABC = '1220ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'

export function serveHead(bytes = 'abcdefgh', chunkSize = 3): Promise<ArtifactDescriptor> {
  return buildArtifactDescriptor(SERVE_HEAD, Buffer.from(bytes), chunkingScheme(chunkSize))
}

/** A descriptor with changes whose id is right again, so that only the changes are at fault. */
export function forged(
  descriptor: ArtifactDescriptor,
  changes: Partial<ArtifactDescriptor>,
): ArtifactDescriptor {
  const rest = { ...descriptor, ...changes }
  return { ...rest, artifact_id: artifactId(rest) }
}

export function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'torchbed-store-'))
}

export function removeFolder(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true })
}

/** Every file below a folder by its relative path, with its bytes. */
export async function filesBelow(folder: string): Promise<Map<string, Buffer>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return new Map(
    await Promise.all(
      files.map(async (entry) => {
        const path = join(entry.parentPath, entry.name)
        return [relative(folder, path), await readFile(path)] as const
      }),
    ),
  )
}

/** Makes a file look as if it was written so long ago. */
export async function makeOld(path: string, ageMs = 24 * 60 * 60 * 1000): Promise<void> {
  const then = new Date(Date.now() - ageMs)
  await utimes(path, then, then)
}

/**
 * Another process that has `FsArtifactStore` and `chunkingScheme` in scope. Resolves with what it printed; rejects
 * when it fails.
 *
 * @param limits commands for the shell that starts it, such as `ulimit -f 100`
 */
export async function runElsewhere(script: string, limits?: string): Promise<string> {
  const module = fileURLToPath(new URL('../../lib/store/index.js', import.meta.url))
  const imports = `import { FsArtifactStore, chunkingScheme } from ${JSON.stringify(module)}`
  return runScript(`${imports}\n${script}`, limits)
}

/** Another process that runs an ES module; as {@link runElsewhere}. */
export async function runScript(
  source: string,
  limits?: string,
  env: NodeJS.ProcessEnv = {},
): Promise<string> {
  const command = [process.execPath, '--input-type=module', '-e', source]
  if (limits !== undefined) command.unshift('/bin/sh', '-c', `${limits}; exec "$@"`, 'sh')
  const [program = '', ...args] = command
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (data: Buffer) => (output += data.toString()))
  const [status] = (await once(child, 'close')) as [number | null]
  if (status !== 0) throw new Error(`the other process ended with ${String(status)}`)
  return output
}
