import type { Command } from 'commander'

/** Options that every command has. docs/reference/cli.md says what they mean. */
export interface CommonOptions {
  /** stdout has JSON and nothing else. */
  json?: true
  /** stderr has errors and nothing else; stdout has what a script needs and nothing else. */
  quiet?: true
}

/**
 * Adds the options of {@link CommonOptions}.
 *
 * @param json what `--json` prints
 * @param quiet what `--quiet` leaves on stdout
 */
export function addCommonOptions(command: Command, json: string, quiet: string): Command {
  return command.option('--json', json).option('-q, --quiet', quiet)
}
