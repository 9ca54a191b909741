import { resolve } from 'node:path'
import { Option, type Command } from 'commander'
import { ConfigError } from '../../errors.js'
import { addCommonOptions, type CommonOptions } from '../common-options.js'
import { describeError, exitCodeOf, printError } from '../report-error.js'
import { stopOnSignals } from '../stop-on-signals.js'
import { jsonDocument } from '../text/json-document.js'
import { ROLES, type NodeEvent, type NodeReporter } from './events.js'
import { eventLines } from './text.js'

interface NodeCommandOptions extends CommonOptions {
  network: string
  role: keyof typeof ROLES
  folder: string
  join?: string[]
  listen?: string[]
  experiment?: string[]
}

/** Adds `torchbed node` to the program. */
export function addNodeCommand(program: Command): void {
  const command = program
    .command('node')
    .summary('be a peer of a network, and show what happens there')
    .description(
      'Joins a network of burn_p2p or torchbed peers, and shows who is there, the heads that they ' +
        'announce and promote. An archive fetches every promoted head and offers it to others. Needs ' +
        'js-libp2p, and no Python. Ctrl-C stops it; the same folder is the same peer again.',
    )
    .requiredOption('--network <id>', "the network's id, the same for all its peers")
    .option(
      '--join <multiaddr...>',
      'peers to connect with; it finds them again when they were gone',
    )
    .option('--listen <multiaddr...>', 'where to listen (default: a free port of 127.0.0.1)')
    .option(
      '--experiment <study/experiment...>',
      'experiments whose announcements come at once; those of others come every few seconds',
    )
    .addOption(
      new Option('--role <role>', 'what it is for').choices(Object.keys(ROLES)).default('viewer'),
    )
    .option(
      '--folder <dir>',
      'folder of its key, of what it knows and of its store',
      'torchbed-node',
    )
  addCommonOptions(command, 'print one JSON event per line on stdout', 'print errors only')
    .addHelpText(
      'after',
      '\nExit codes: 1 failure, 2 bad usage, 130 stopped by Ctrl-C,\n' +
        '143 stopped by SIGTERM, 129 by SIGHUP.\n' +
        '\nExamples:\n' +
        '  torchbed node --network digits --role bootstrap --listen /ip4/0.0.0.0/tcp/4001\n' +
        '  torchbed node --network digits --join /ip4/192.0.2.1/tcp/4001 --role archive\n' +
        '  torchbed node --network digits --join /ip4/192.0.2.1/tcp/4001 --json\n',
    )
    .action(async (options: NodeCommandOptions) => {
      process.exitCode = await node(options)
    })
}

/** Runs the command and returns its exit code. Errors are reported, not thrown. */
async function node({ json, quiet, ...options }: NodeCommandOptions): Promise<number> {
  const report = reporterFor({ ...(json && { json }), ...(quiet && { quiet }) })
  const stop = stopOnSignals((signal) => report({ event: 'interrupted', signal }))
  try {
    const { network, role, folder, listen, join = [], experiment = [] } = options
    // What it loads is of no use to other commands.
    const { runNode } = await import('./run.js')
    const run = { network, role, folder: resolve(folder), listen, join }
    await runNode({ ...run, experiments: experiment.map(experimentOf) }, report, stop.signal)
    return stop.leave()
  } catch (error) {
    report({ event: 'error', ...describeError(error) })
    return exitCodeOf(error)
  } finally {
    stop.dispose()
  }
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
