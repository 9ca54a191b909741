/** Fetching an artifact of which only the id is known: its descriptor from the first peer that has it, its chunks from all. */

import { throwIfAborted } from '../core/abort.js'
import type { ArtifactDescriptor } from '../schema/index.js'
import {
  fetchArtifact,
  UnknownArtifactError,
  type ChunkSource,
  type FetchOptions,
  type FetchReport,
  type FsArtifactStore,
} from '../store/index.js'
import { ArtifactUnavailableError } from './errors.js'

/** A peer that may offer an artifact. */
export interface Provider extends ChunkSource {
  /** The descriptor of an artifact, or null when it is not on offer. */
  manifest(artifactId: string, signal: AbortSignal | undefined): Promise<ArtifactDescriptor | null>
}

/**
 * Fetches an artifact into a store.
 *
 * @throws ArtifactUnavailableError when none of the providers offers it; as `fetchArtifact`
 */
export async function fetchFrom(
  store: FsArtifactStore,
  artifactId: string,
  providers: readonly Provider[],
  options: FetchOptions = {},
): Promise<FetchReport> {
  const descriptor = await findDescriptor(store, artifactId, providers, options.signal)
  return fetchArtifact(store, descriptor, providers, options)
}

/** Of the store when a fetch was interrupted, else of the first provider that has it. */
async function findDescriptor(
  store: FsArtifactStore,
  artifactId: string,
  providers: readonly Provider[],
  signal: AbortSignal | undefined,
): Promise<ArtifactDescriptor> {
  try {
    return await store.loadManifest(artifactId)
  } catch (error) {
    if (!(error instanceof UnknownArtifactError)) throw error
  }
  const reasons: string[] = []
  for (const provider of providers) {
    try {
      const descriptor = await provider.manifest(artifactId, signal)
      if (descriptor !== null) return descriptor
      reasons.push(`${provider.name} does not offer it`)
    } catch (error) {
      throwIfAborted(signal, 'fetch an artifact')
      reasons.push(error instanceof Error ? error.message : String(error))
    }
  }
  throw new ArtifactUnavailableError(artifactId, reasons)
}
