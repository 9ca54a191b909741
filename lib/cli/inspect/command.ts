import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { ConfigError, TorchbedError } from '../../errors.js'
import { addCommonOptions, type CommonOptions } from '../common-options.js'
import { ExitCode } from '../exit-code.js'
import { describeError, exitCodeOf, printError } from '../report-error.js'
import { jsonDocument } from '../text/json-document.js'
import { inspectManifest } from './manifest.js'
import { Progress } from './progress.js'
import type { InspectReport } from './report.js'
import { inspectSafetensorsFile } from './safetensors-file.js'
import { inspectStore } from './store.js'
import { problemText, reportText } from './text.js'

interface InspectOptions extends CommonOptions {
  verify: boolean
}

/** Adds `torchbed inspect` to the program. */
export function addInspectCommand(program: Command): void {
  const command = program
    .command('inspect')
    .summary('show and verify an artifact store, a manifest or a safetensors file')
    .description(
      'Shows what is in an artifact store (a folder), a manifest (a .json file of a store) or a ' +
        'safetensors file (any other file), and verifies every hash. Changes nothing.',
    )
    .argument('<path>', 'a store such as out/store, a manifest, or a safetensors file')
    .option('--no-verify', 'check sizes only, without reading everything to verify hashes')
  addCommonOptions(
    command,
    'print one JSON document on stdout',
    'print only what is damaged or missing',
  )
    .addHelpText(
      'after',
      '\nExit codes: 0 nothing is wrong, 1 something is damaged or missing, 2 bad usage.\n' +
        '\nExamples:\n' +
        '  torchbed inspect out/store\n' +
        '  torchbed inspect out/model.safetensors\n' +
        '  torchbed inspect --quiet out/store && echo sound\n' +
        "  torchbed inspect out/store --json | jq '.heads[-1].metrics'\n",
    )
    .action(async (path: string, options: InspectOptions) => {
      process.exitCode = await runInspect(path, options)
    })
}

/** Runs the command and returns its exit code. Errors are reported, not thrown. */
async function runInspect(path: string, options: InspectOptions): Promise<number> {
  const { json, quiet, verify } = options
  const progress = new Progress(quiet === true)
  try {
    const report = await inspect(resolve(path), verify, progress)
    if (json) process.stdout.write(jsonDocument(report))
    else process.stdout.write(quiet ? problemText(report) : reportText(report))
    return report.ok ? ExitCode.done : ExitCode.failure
  } catch (error) {
    if (!(error instanceof TorchbedError)) throw error
    const problem = describeError(error)
    if (json) process.stdout.write(jsonDocument({ error: problem }))
    progress.end()
    printError(problem)
    return exitCodeOf(error)
  } finally {
    progress.end()
  }
}

/** Chooses by what is at the path. Throws {@link ConfigError} when it is nothing that can be inspected. */
async function inspect(path: string, verify: boolean, progress: Progress): Promise<InspectReport> {
  const refuse = (message: string, cause?: unknown): never => {
    const what = `Cannot inspect ${JSON.stringify(path)}`
    throw new ConfigError(what, [{ path: '', message }], { cause })
  }
  const found = await stat(path).catch((error: unknown) => refuse((error as Error).message, error))
  if (found.isDirectory()) {
    if (await isStore(path)) return inspectStore(path, verify, progress)
    const inside = join(path, 'store')
    return refuse(
      (await isStore(inside))
        ? `it holds a store; inspect ${JSON.stringify(inside)}`
        : 'the folder is not an artifact store: it has neither heads nor artifacts/manifests; ' +
            'name the root of a store (torchbed train keeps it in <out>/store)',
    )
  }
  if (!found.isFile()) return refuse('it is neither a folder nor a regular file')
  if (path.endsWith('.json')) return inspectManifest(path, verify, progress)
  return inspectSafetensorsFile(path, found.size, verify, progress)
}

async function isStore(path: string): Promise<boolean> {
  for (const folder of ['heads', join('artifacts', 'manifests')]) {
    const found = await stat(join(path, folder)).catch(() => undefined)
    if (found?.isDirectory()) return true
  }
  return false
}
