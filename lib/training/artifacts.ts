/** Having an artifact before it is loaded. */

import type { OperationOptions } from '../core/abort.js'
import type { ArtifactId, PeerId } from '../schema/index.js'
import type { Swarm } from '../swarm/index.js'

/**
 * Fetches what the swarm's store lacks of an artifact. Where there is no other peer to ask, loading it says what is missing.
 *
 * @throws as {@link Swarm.fetch}
 */
export async function ensureArtifact(
  swarm: Swarm,
  artifact: ArtifactId,
  providers: readonly PeerId[],
  options: OperationOptions = {},
): Promise<void> {
  if (await swarm.store.hasCompleteArtifact(artifact)) return
  const others = providers.filter((peer) => peer !== swarm.peerId)
  if (others.length === 0) return
  await swarm.fetch(artifact, others, options.signal ? { signal: options.signal } : {})
}
