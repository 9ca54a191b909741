import { resolve } from 'node:path'
import type { Command } from 'commander'
import { addCommonOptions, type CommonOptions } from '../common-options.js'
import { ExitCode } from '../exit-code.js'
import { describeError, exitCodeOf, printError } from '../report-error.js'
import { jsonDocument } from '../text/json-document.js'
import { printable } from '../text/printable.js'
import { shortPath } from '../text/short-path.js'

interface KeysOptions extends CommonOptions {
  network: string
  folder: string
  family?: string
  releaseTrain?: string
}

/** Folder of an issuer when it is not told. */
export const ISSUER_FOLDER = 'torchbed-issuer'

/** Adds `torchbed keys` to the program. */
export function addKeysCommand(program: Command): void {
  const command = program
    .command('keys')
    .summary('make the issuer of a network with certificates')
    .description(
      'Makes the key of an issuer and the policy of its network in a folder, or shows those that are there. ' +
        'Whoever has the folder decides who takes part: "torchbed node invite" issues certificates with it.',
    )
    .requiredOption('--network <id>', "the network's id")
    .option('--folder <dir>', 'folder of the issuer; keep it to yourself', ISSUER_FOLDER)
    .option('--family <id>', 'project family that burn_p2p peers compare (default: torchbed)')
    .option(
      '--release-train <hash>',
      'release train that burn_p2p peers compare (default: torchbed)',
    )
  addCommonOptions(
    command,
    'print one JSON document on stdout: network, issuer, folder',
    'print only errors',
  )
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 failure, 2 bad usage.\n' +
        '\nExamples:\n' +
        '  torchbed keys --network digits\n' +
        '  torchbed node invite --role bootstrap\n',
    )
    .action(async (options: KeysOptions) => {
      process.exitCode = await keys(options)
    })
}

/** Runs the command and returns its exit code. Errors are reported, not thrown. */
async function keys({ network, family, releaseTrain, ...options }: KeysOptions): Promise<number> {
  try {
    const { openIssuer } = await import('../../p2p/index.js')
    const folder = resolve(options.folder)
    const { policy } = await openIssuer(folder, { network, family, releaseTrain })
    const issuer = policy.trusted_issuers[0]?.issuer_peer_id ?? ''
    if (options.json) process.stdout.write(jsonDocument({ network, issuer, folder }))
    else if (!options.quiet) {
      process.stdout.write(
        `Issuer ${issuer} of network ${printable(network)} in ${printable(shortPath(folder))}\n` +
          'Invite a peer: torchbed node invite --role bootstrap\n',
      )
    }
    return ExitCode.done
  } catch (error) {
    const report = describeError(error)
    if (options.json) process.stdout.write(jsonDocument({ error: report }))
    printError(report)
    return exitCodeOf(error)
  }
}
