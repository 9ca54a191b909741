import { InstallationError } from '../../errors.js'

/** `torchbed build`: CMake, a compiler, Ninja or Make, or Python.h is missing; nothing was compiled. */
export class BuildToolsMissingError extends InstallationError {
  readonly code = 'ERR_BUILD_TOOLS_MISSING'
}

/** `torchbed build`: CMake or the compiler failed, the folder cannot be written, or the result does not load. */
export class BuildError extends InstallationError {
  readonly code = 'ERR_BUILD_FAILED'
}
