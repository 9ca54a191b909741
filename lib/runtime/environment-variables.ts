import { ValueError } from '../errors.js'

/**
 * Throws {@link ValueError} for the first variable that no environment can hold: an empty name, a `=` in a name, a NUL
 * character, or a value that is no string.
 */
export function refuseUnfitVariables(env: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(env)) {
    const isFit = typeof value === 'string' && !value.includes('\0')
    if (isFit && name !== '' && !/[=\0]/.test(name)) continue
    throw new ValueError(
      `Cannot set the environment variable ${JSON.stringify(name)} to ${quoted(value)}: names must be ` +
        'non-empty, without "=", values must be strings, and neither may hold NUL characters',
      `env[${JSON.stringify(name)}]`,
    )
  }
}

function quoted(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}
