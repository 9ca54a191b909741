import { resolve } from 'node:path'
import type { Command } from 'commander'
import { addCommonOptions, type CommonOptions } from '../common-options.js'
import { ExitCode } from '../exit-code.js'
import { describeError, exitCodeOf, printError } from '../report-error.js'
import { jsonDocument } from '../text/json-document.js'
import { printable } from '../text/printable.js'
import { shortPath } from '../text/short-path.js'
import { CONFIG_NAME } from '../train/config.js'
import { writeProject, type WrittenProject } from './project.js'

interface InitOptions extends CommonOptions {
  force?: true
}

/** Adds `torchbed init` to the program. */
export function addInitCommand(program: Command): void {
  const command = program
    .command('init')
    .summary('write a first project: a small workload, its data and its config')
    .description(
      'Writes a project that trains at once: a small PyTorch workload to build on, a script that makes its ' +
        `data, and ${CONFIG_NAME}. Nothing is downloaded, and no Python is run.`,
    )
    .argument('[folder]', 'where to write it; created if missing', '.')
    .option('--force', 'overwrite the files of an earlier init')
  addCommonOptions(
    command,
    'print one JSON document on stdout: folder, files, next',
    'print only errors',
  )
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 failure: files exist, 2 bad usage: a folder that cannot be\n' +
        'written to.\n' +
        '\nExamples:\n' +
        '  torchbed init && torchbed train\n' +
        '  torchbed init spirals\n',
    )
    .action(async (folder: string, options: InitOptions) => {
      process.exitCode = await init(folder, options)
    })
}

/** Runs the command and returns its exit code. Errors are reported, not thrown. */
async function init(folder: string, options: InitOptions): Promise<number> {
  try {
    const project = await writeProject(resolve(folder), options.force === true)
    const next = nextCommands(project.folder)
    if (options.json) process.stdout.write(jsonDocument({ ...project, next }))
    else if (!options.quiet) process.stdout.write(nextSteps(project, next))
    return ExitCode.done
  } catch (error) {
    const report = describeError(error)
    if (options.json) process.stdout.write(jsonDocument({ error: report }))
    printError(report)
    return exitCodeOf(error)
  }
}

/** Commands to run from the current folder, in order. */
function nextCommands(folder: string): string[] {
  const path = shortPath(folder)
  return [...(path === '.' ? [] : [`cd ${quoted(path)}`]), 'npx torchbed train']
}

function nextSteps({ files }: WrittenProject, next: readonly string[]): string {
  const command = next.join(' && ')
  return (
    `Wrote ${files.map((file) => printable(file)).join(', ')}.\n` +
    `Train:  ${printable(command, command.length)}   (any Python >= 3.11 that has torch)\n` +
    `Build on it:  the model is in spirals.py, the data come from prepare.py.\n`
  )
}

/** A path as a shell takes it. */
function quoted(path: string): string {
  return /^[\w./@+-]+$/.test(path) && !path.startsWith('-')
    ? path
    : `'${path.replaceAll("'", "'\\''")}'`
}
