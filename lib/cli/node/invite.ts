/** `torchbed node invite`, and what `--join` makes of an invite. */

import { resolve } from 'node:path'
import { InvalidArgumentError, Option, type Command } from 'commander'
import { ConfigError } from '../../errors.js'
import type { AdmissionOptions } from '../../p2p/index.js'
import type { ExperimentScope } from '../../swarm/index.js'
import { addCommonOptions, type CommonOptions } from '../common-options.js'
import { ExitCode } from '../exit-code.js'
import { ISSUER_FOLDER } from '../keys/command.js'
import { describeError, exitCodeOf, printError } from '../report-error.js'
import { jsonDocument } from '../text/json-document.js'
import { ROLES, type Role } from './events.js'

interface InviteOptions extends CommonOptions {
  issuer: string
  role: Role
  experiment?: string[]
  join?: string[]
  days: number
  peer?: string
  name?: string
}

/** What a role does in an experiment. */
const SCOPES = {
  viewer: [],
  bootstrap: [],
  archive: ['Archive'],
  trainer: ['Train'],
  validator: ['Validate', 'Archive'],
  peer: ['Train', 'Validate'],
} as const satisfies Readonly<Record<Role, readonly ('Train' | 'Validate' | 'Archive')[]>>

/** Adds `torchbed node invite` to the command `node`. */
export function addInviteCommand(node: Command): void {
  const command = node
    .command('invite')
    .summary('print one line with which another machine joins a network with certificates')
    .description(
      'Prints an invite; "torchbed node --join <invite>" on the other machine takes it. Unless --peer names a peer ' +
        'that has a key, the line holds the key of a new one: hand it over like a password, and use it once.',
    )
    .option('--issuer <dir>', 'folder of the issuer, which "torchbed keys" makes', ISSUER_FOLDER)
    .addOption(
      new Option('--role <role>', 'what the peer may do')
        .choices(Object.keys(ROLES))
        .default('peer'),
    )
    .option('--experiment <study/experiment...>', 'where it may do it')
    .option('--join <multiaddr...>', 'peers that it connects with')
    .option('--days <n>', 'how long its certificate holds', days, 30)
    .option('--peer <id>', 'id of a peer that is there already; the invite is of no use to others')
    .option('--name <text>', "who runs it, for people (default: the peer's id)")
  addCommonOptions(
    command,
    'print one JSON document on stdout: invite, peerId, expires',
    'print the invite and errors only',
  )
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 failure, 2 bad usage.\n' +
        '\nExamples:\n' +
        '  torchbed node invite --role trainer --experiment digits/mlp\n' +
        '  torchbed node invite --role viewer --join /ip4/192.0.2.1/tcp/4001\n',
    )
    .action(async (options: InviteOptions) => {
      process.exitCode = await invite(options)
    })
}

function days(text: string): number {
  const number = Number(text)
  if (number > 0 && number <= 36_500) return number
  throw new InvalidArgumentError('expected a number of days above 0')
}

/** Runs the command and returns its exit code. Errors are reported, not thrown. */
async function invite(options: InviteOptions): Promise<number> {
  try {
    const { createInvite, openIssuer, readInvite } = await import('../../p2p/index.js')
    const issuer = await openIssuer(resolve(options.issuer))
    const grant = {
      ...{ peerId: options.peer, principal: options.name, days: options.days },
      roles: ROLES[options.role],
      scopes: scopesOf(options),
    }
    const line = createInvite(issuer, grant, options.join ?? [])
    const { peer_id, not_after } = readInvite(line).certificate.body.payload.payload
    if (options.json) {
      process.stdout.write(jsonDocument({ invite: line, peerId: peer_id, expires: not_after }))
    } else process.stdout.write(`${line}\n`)
    return ExitCode.done
  } catch (error) {
    const report = describeError(error)
    if (options.json) process.stdout.write(jsonDocument({ error: report }))
    printError(report)
    return exitCodeOf(error)
  }
}

function scopesOf({ role, experiment = [] }: InviteOptions): ExperimentScope[] {
  const kinds = SCOPES[role]
  if (kinds.length > 0 && experiment.length === 0) {
    const message = `say in which experiments the ${role} takes part, as study/experiment`
    throw new ConfigError('Cannot invite', [{ path: '--experiment', message }])
  }
  const ids = experiment.map((text) => text.slice(text.indexOf('/') + 1))
  const granted = kinds.flatMap((kind) =>
    ids.map((experiment_id) => ({ [kind]: { experiment_id } }) as unknown as ExperimentScope),
  )
  return ['Connect', 'Discover', ...granted]
}

/** Where and as whom a peer joins. */
export interface Joining {
  readonly join: readonly string[]
  /** The network of its certificate. */
  readonly network: string | undefined
  readonly admission: AdmissionOptions | undefined
}

/**
 * Takes the invites among what is to be joined, and finds the certificate that the folder has.
 *
 * @throws ConfigError when an invite is damaged or for another folder
 */
export async function joiningOf(folder: string, given: readonly string[]): Promise<Joining> {
  const { acceptInvite, isInvite, membershipOf, readInvite } = await import('../../p2p/index.js')
  for (const line of given.filter(isInvite)) await acceptInvite(folder, readInvite(line))
  const member = await membershipOf(folder)
  const addresses = given.filter((text) => !isInvite(text))
  return {
    join: [...new Set([...addresses, ...(member?.join ?? [])])],
    network: member?.admission.policy.network_id,
    admission: member?.admission,
  }
}
