import { relative, resolve } from 'node:path'
import type { Command } from 'commander'
import { isAbort } from '../../core/abort.js'
import { addCommonOptions, type CommonOptions } from '../common-options.js'
import { ExitCode } from '../exit-code.js'
import { describeError, exitCodeOf } from '../report-error.js'
import { stopOnSignals } from '../stop-on-signals.js'
import { CONFIG_NAME, readTrainConfig } from './config.js'
import type { TrainReporter } from './events.js'
import { JsonLinesReporter } from './json-lines.js'
import { QuietReporter } from './quiet.js'
import type { TrainProgress } from './record.js'
import { runTraining } from './run.js'
import { TerminalReporter } from './terminal.js'

interface TrainOptions extends CommonOptions {
  out: string
  python?: string
}

/** Adds `torchbed train` to the program. */
export function addTrainCommand(program: Command): void {
  const command = program
    .command('train')
    .summary('train a workload with local peers, window by window')
    .description(
      'Trains the workload that the config names with local peers over one artifact store, ' +
        "and Python in this process. After each window the peers' models are merged, evaluated and " +
        'promoted; the output folder keeps the latest. Ctrl-C stops within two seconds. Run the ' +
        'same command again to resume from the last promoted head.',
    )
    .argument(
      '[config.json]',
      'what to train, or the folder of a torchbed.json; its folders and scripts are relative to it',
      CONFIG_NAME,
    )
    .option('--out <dir>', 'folder for model.safetensors, report.json and curve.svg', 'out')
    .option('--python <path>', "Python to use instead of the config's")
  addCommonOptions(
    command,
    'print one JSON event per line on stdout',
    'print only the path of the model and errors; with --json only the last event',
  )
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 failure, 2 bad usage or config, 130 stopped by Ctrl-C,\n' +
        '143 stopped by SIGTERM, 129 by SIGHUP.\n' +
        '\nExamples:\n' +
        '  torchbed train\n' +
        '  torchbed train examples/digits/config.json --out out/digits\n' +
        '  torchbed train --quiet --json | jq .accuracy\n' +
        '  torchbed train --json | jq \'select(.event == "promoted").metrics.loss\'\n',
    )
    .action(async (config: string, options: TrainOptions) => {
      process.exitCode = await train(config, options)
    })
}

/** Runs the command and returns its exit code. Errors are reported, not thrown. */
async function train(configPath: string, options: TrainOptions): Promise<number> {
  const reporter = reporterFor(options)
  const progress: TrainProgress = { window: 0, artifact: null }
  const stop = stopOnSignals((signal) =>
    reporter.event({ event: 'interrupted', signal, ...progress }),
  )
  try {
    const config = await readTrainConfig(resolve(configPath))
    const out = relative('', resolve(options.out)) || '.'
    const { python } = options
    const run = { out, python, reporter, signal: stop.signal }
    reporter.event({ event: 'summary', ...(await runTraining(config, run, progress)) })
    return ExitCode.done
  } catch (error) {
    if (stop.signal.aborted && isAbort(error)) return stop.leave()
    reporter.event({ event: 'error', ...describeError(error) })
    return exitCodeOf(error)
  } finally {
    stop.dispose()
    reporter.end()
  }
}

function reporterFor({ json, quiet }: CommonOptions): TrainReporter {
  if (json) return new JsonLinesReporter(quiet === true)
  return quiet ? new QuietReporter() : new TerminalReporter()
}
