/**
 * A web server that trains a network in its own process: `npm run serve`.
 */
import { once } from 'node:events'
import { Command, InvalidArgumentError, Option } from 'commander'
import { EmbeddedRuntime, SubprocessRuntime, type PythonRuntime } from 'torchbed'
import { buildApp } from './app.js'
import { LoopMonitor } from './loop-monitor.js'
import { Training } from './training.js'

/** How long the end may take before the process leaves all the same, in milliseconds. */
const STOP_GRACE_MS = 1500

/** How long the idle event loop is shown before training begins, in milliseconds. */
const IDLE_MS = 2000

interface ServeOptions {
  port: number
  host: string
  windows: number
  out: string
  isolation: 'none' | 'process'
}

const program = new Command('serve')
  .description(
    'Trains a small network in the background and serves its state: / is a live page, /status is JSON, ' +
      '/metrics is for Prometheus, /events are server-sent events.',
  )
  .option('--port <number>', 'where to listen; 0 takes a free one', whole(0, 65_535), 8080)
  .option('--host <address>', 'on which address', '127.0.0.1')
  .option('--windows <number>', 'how long to train; a window is 100 steps', whole(1, 1e6), 400)
  .option('--out <file>', 'where the weights go', 'out/server/model.safetensors')
  .addOption(
    new Option('--isolation <how>', 'where Python runs: in this process or in a separate one')
      .choices(['none', 'process'])
      .default('none'),
  )
  .addHelpText(
    'after',
    '\nCtrl-C or SIGTERM stops the window that runs, saves the weights and leaves with 130 or 143.',
  )
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .parse()

try {
  await serve(program.opts<ServeOptions>())
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}

/** Serves until a signal. What was learnt is saved at the end of the training, or when it is stopped. */
async function serve(options: ServeOptions): Promise<void> {
  const stop = stopOnSignals()
  await using runtime = await startPython(options.isolation)
  const training = new Training(runtime, {
    windows: options.windows,
    out: options.out,
    idleMs: IDLE_MS,
  })
  const monitor = new LoopMonitor()
  const app = await buildApp({ training, runtime, monitor })
  const url = await app.listen(options).catch((error: unknown) => {
    throw new Error(
      `Cannot listen on ${options.host}:${options.port}: ${String(error)}; choose another --port`,
    )
  })
  monitor.start(`${url}/ping`)
  console.log(`listening on ${url}`)

  const isSaved = await training.run(stop.signal)
  const { phase, window, error } = training.status
  if (error !== null) console.error(`training failed: ${error.code}: ${error.message}`)
  else {
    const saved = isSaved ? `saved ${options.out}` : 'nothing to save yet'
    console.log(`training ${phase} after ${window} windows; ${saved}`)
  }

  if (!stop.signal.aborted) await once(stop.signal, 'abort')
  monitor.stop()
  await app.close()
  process.exitCode = stop.exitCode()
}

function startPython(isolation: ServeOptions['isolation']): Promise<PythonRuntime> {
  return isolation === 'process' ? SubprocessRuntime.start() : EmbeddedRuntime.start()
}

/** The first SIGINT or SIGTERM stops; a second one leaves at once, as does an end that takes too long. */
function stopOnSignals() {
  const controller = new AbortController()
  let exitCode = 0
  const onSignal = (signal: NodeJS.Signals) => {
    if (controller.signal.aborted) process.exit(exitCode)
    exitCode = signal === 'SIGINT' ? 130 : 143
    controller.abort(new Error(`stopped by ${signal}`))
    setTimeout(() => process.exit(exitCode), STOP_GRACE_MS).unref()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return { signal: controller.signal, exitCode: () => exitCode }
}

/** Reads a whole number within bounds. */
function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`)
  }
}
