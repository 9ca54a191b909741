import { InstallationError } from '../../errors.js'

/** What is needed to compile the addon is not on this machine; thrown before anything is compiled. */
export class BuildToolsMissingError extends InstallationError {
  readonly code = 'ERR_BUILD_TOOLS_MISSING'
}

/** CMake or the compiler failed, or what was compiled does not load. */
export class BuildError extends InstallationError {
  readonly code = 'ERR_BUILD_FAILED'
}
