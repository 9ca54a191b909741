import { resolve } from 'node:path'
import { InvalidArgumentError, Option, type Command } from 'commander'
import { isAbort } from '../../core/abort.js'
import { ConfigError } from '../../errors.js'
import { addCommonOptions, type CommonOptions } from '../common-options.js'
import { ExitCode } from '../exit-code.js'
import { describeError, exitCodeOf, printError } from '../report-error.js'
import { stopOnSignals } from '../stop-on-signals.js'
import { CONFIG_NAME, readTrainConfig } from '../train/config.js'
import { jsonDocument } from '../text/json-document.js'
import { needsWorkload, ROLES, type NodeEvent, type NodeReporter, type Role } from './events.js'
import { addInviteCommand, joiningOf } from './invite.js'
import { addStatusCommands } from './status.js'
import { eventLines } from './text.js'

interface NodeCommandOptions extends CommonOptions {
  network?: string
  role: Role
  windows?: number
  alone?: true
  python?: string
  folder: string
  join?: string[]
  listen?: string[]
  experiment?: string[]
}

/** Adds `torchbed node` to the program. */
export function addNodeCommand(program: Command): void {
  const command = program
    .command('node')
    .summary('join a network as a peer, and show what happens there')
    .description(
      'Joins a network of burn_p2p or torchbed peers, and shows its peers and the heads that they ' +
        'announce and promote. A trainer trains the workload of the config over each head that is ' +
        'promoted; a validator makes the first head, merges what trainers publish and promotes it; a ' +
        'peer does both, and validates when those before it are silent. An archive fetches every ' +
        'promoted head and offers it to others; it needs no Python, nor does a bootstrap or a viewer. ' +
        'Needs js-libp2p. Ctrl-C stops it; the same folder is the same peer again.',
    )
    .argument(
      '[config.json]',
      'for trainers, validators and peers: what to train, as for "torchbed train"',
      CONFIG_NAME,
    )
    .option(
      '--network <id>',
      "the network's id, the same for all its peers (default: the config's network_id)",
    )
    .option(
      '--join <multiaddr|invite...>',
      'peers to connect to, and to reconnect to when they come back; or the line of an invite',
    )
    .option('--listen <multiaddr...>', 'where to listen (default: a free port of 127.0.0.1)')
    .option(
      '--experiment <study/experiment...>',
      'experiments whose announcements come at once; those of others come every few seconds',
    )
    .addOption(
      new Option('--role <role>', 'what the peer does')
        .choices(Object.keys(ROLES))
        .default('viewer'),
    )
    .option(
      '--folder <dir>',
      'folder for its key, its state and its store; for the model, when it trains',
      'torchbed-node',
    )
    .option('--windows <n>', 'end once the head of that step is promoted (default: never)', steps)
    .option('--alone', 'promote even if most of the recent peers are gone')
    .option('--python <path>', "Python to use instead of the config's")
  addCommonOptions(command, 'print one JSON event per line on stdout', 'print errors only')
    .addHelpText(
      'after',
      '\nExit codes: 1 failure, 2 bad usage, 130 stopped by Ctrl-C,\n' +
        '143 stopped by SIGTERM, 129 by SIGHUP.\n' +
        '\nExamples:\n' +
        '  torchbed node --network digits --role bootstrap --listen /ip4/0.0.0.0/tcp/4001\n' +
        '  torchbed node --network digits --join /ip4/192.0.2.1/tcp/4001 --role archive\n' +
        '  torchbed node torchbed.json --role peer --join /ip4/192.0.2.1/tcp/4001\n' +
        '  torchbed node --network digits --join /ip4/192.0.2.1/tcp/4001 --json\n',
    )
    .enablePositionalOptions()
    .action(async (config: string, options: NodeCommandOptions) => {
      process.exitCode = await node(config, options)
    })
  addInviteCommand(command)
  addStatusCommands(command)
}

/** Runs the command and returns its exit code. Errors are reported, not thrown. */
async function node(
  configPath: string,
  { json, quiet, ...options }: NodeCommandOptions,
): Promise<number> {
  const report = reporterFor({ ...(json && { json }), ...(quiet && { quiet }) })
  const stop = stopOnSignals((signal) => report({ event: 'interrupted', signal }))
  try {
    const { role, listen, experiment = [] } = options
    const folder = resolve(options.folder)
    const { join, admission, network: invited } = await joiningOf(folder, options.join ?? [])
    const config = needsWorkload(role) ? await readTrainConfig(resolve(configPath)) : null
    const network = options.network ?? invited ?? config?.training.network_id
    if (network === undefined) throw networkMissing(role)
    const run = {
      ...{ network, role, listen, join, folder, admission },
      experiments: experiment.map(experimentOf),
    }
    // What they load is of no use to other commands.
    if (config === null) {
      const { runNode } = await import('./run.js')
      await runNode(run, report, stop.signal)
    } else {
      const { runTrainingNode } = await import('./training.js')
      const { windows, python, alone = false } = options
      await runTrainingNode({ ...run, config, windows, python, alone }, report, stop.signal)
    }
    return stop.signal.aborted ? stop.leave() : ExitCode.done
  } catch (error) {
    if (stop.signal.aborted && isAbort(error)) return stop.leave()
    report({ event: 'error', ...describeError(error) })
    return exitCodeOf(error)
  } finally {
    stop.dispose()
  }
}

function steps(text: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 1) return number
  throw new InvalidArgumentError('expected an integer of at least 1')
}

function networkMissing(role: Role): ConfigError {
  const message = `a ${role} has no config that names it; give the id that the other peers use`
  return new ConfigError('Cannot join', [{ path: '--network', message }])
}

function experimentOf(text: string) {
  const [study_id = '', experiment_id = '', ...rest] = text.split('/')
  if (study_id !== '' && experiment_id !== '' && rest.length === 0)
    return { study_id, experiment_id }
  const message = `${JSON.stringify(text)} is not study/experiment`
  throw new ConfigError('Cannot join', [{ path: '--experiment', message }])
}

function reporterFor({ json, quiet }: CommonOptions): NodeReporter {
  const show = (event: NodeEvent) => {
    if (json) process.stdout.write(jsonDocument(event, 0))
    else process.stdout.write(`${eventLines(event).join('\n')}\n`)
  }
  return (event) => {
    if (event.event === 'error') {
      if (json) show(event)
      printError(event)
    } else if (!quiet) show(event)
  }
}
