/** The errors of lib/swarm. */

import { TorchbedError } from '../errors.js'

/** No peer that was asked offers an artifact. */
export class ArtifactUnavailableError extends TorchbedError {
  readonly code = 'ERR_ARTIFACT_UNAVAILABLE'

  constructor(
    readonly artifactId: string,
    /** What each peer answered. */
    readonly reasons: readonly string[],
  ) {
    const asked = reasons.length === 0 ? 'there was no peer to ask' : reasons.join('; ')
    super(`No peer offers artifact ${artifactId}: ${asked}`)
  }
}
