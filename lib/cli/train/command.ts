import { relative, resolve } from 'node:path'
import type { Command } from 'commander'
import { AbortError, ConfigError, TorchbedError } from '../../errors.js'
import { ExitCode } from '../exit-code.js'
import { readTrainConfig } from './config.js'
import type { TrainReporter } from './events.js'
import { JsonLinesReporter } from './json-lines.js'
import { runTraining, type TrainProgress } from './run.js'
import { TerminalReporter } from './terminal.js'

/** How long a cancelled call may take to end before the process leaves without it, in milliseconds. */
const CANCEL_GRACE_MS = 1000

interface TrainOptions {
  out: string
  python?: string
  json?: true
}

/** Adds `torchbed train` to the program. */
export function addTrainCommand(program: Command): void {
  program
    .command('train')
    .summary('train a workload with local peers, window by window')
    .description(
      'Trains the workload that <config.json> names with local peers over one artifact store, ' +
        "and Python in this process. After each window the peers' models are merged, evaluated and " +
        'promoted; the output folder keeps the latest. Ctrl-C stops within two seconds. The same ' +
        'command again goes on from the last promoted head.',
    )
    .argument('<config.json>', 'what to train; paths in it are relative to it')
    .option('--out <dir>', 'folder for model.safetensors, report.json and curve.svg', 'out')
    .option('--python <path>', "Python to use instead of the config's")
    .option('--json', 'print one JSON event a line on stdout')
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 failure, 2 bad usage or config, 130 stopped by Ctrl-C, 143 by SIGTERM.\n' +
        '\nExamples:\n' +
        '  torchbed train examples/digits/config.json --out out/digits\n' +
        '  torchbed train config.json --json | jq \'select(.event == "summary").accuracy\'\n',
    )
    .action(async (config: string, options: TrainOptions) => {
      process.exitCode = await train(config, options)
    })
}

/** Runs the command and returns its exit code. Errors are reported, not thrown. */
async function train(configPath: string, options: TrainOptions): Promise<number> {
  const reporter: TrainReporter = options.json ? new JsonLinesReporter() : new TerminalReporter()
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
    reporter.event({ event: 'error', ...describe(error) })
    return error instanceof ConfigError ? ExitCode.badUsage : ExitCode.failure
  } finally {
    stop.dispose()
    reporter.end()
  }
}

/**
 * The first SIGINT or SIGTERM cancels. Should the call that runs not end in time, because it is
 * inside one long C function, the process leaves without it; a second signal leaves at once.
 */
function stopOnSignals(report: (signal: string) => void) {
  const controller = new AbortController()
  let exitCode: number = ExitCode.interrupted
  let timer: NodeJS.Timeout | undefined
  const leave = () => {
    report(exitCode === ExitCode.interrupted ? 'Ctrl-C' : 'SIGTERM')
    return exitCode
  }
  const onSignal = (signal: NodeJS.Signals) => {
    if (controller.signal.aborted) process.exit(exitCode)
    exitCode = signal === 'SIGINT' ? ExitCode.interrupted : ExitCode.terminated
    controller.abort(new Error(`stopped by ${signal}`))
    timer = setTimeout(() => process.exit(leave()), CANCEL_GRACE_MS)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return {
    signal: controller.signal,
    leave,
    dispose: () => {
      clearTimeout(timer)
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    },
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof AbortError || (error instanceof Error && error.name === 'AbortError')
}

function describe(error: unknown): { code: string; message: string } {
  if (error instanceof TorchbedError) {
    const traceback = 'pythonTraceback' in error ? `\n${String(error.pythonTraceback)}` : ''
    return { code: error.code, message: `${error.message}${traceback}`.trimEnd() }
  }
  if (error instanceof Error) {
    const code = 'code' in error ? String(error.code) : error.name
    return { code, message: error.message }
  }
  return { code: 'ERR_UNKNOWN', message: String(error) }
}
