#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import { packageRoot } from '../runtime/package-root.js'
import { addBuildCommand } from './build/command.js'
import { ExitCode } from './exit-code.js'
import { addDoctorCommand } from './doctor/command.js'
import { addHubCommands } from './hub/command.js'
import { addInitCommand } from './init/command.js'
import { addInspectCommand } from './inspect/command.js'
import { addKeysCommand } from './keys/command.js'
import { addNodeCommand } from './node/command.js'
import { printError } from './report-error.js'
import { styleOf } from './text/terminal.js'
import { addTrainCommand } from './train/command.js'

const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
  version: string
}

/**
 * A reader that closed our output, as `head` does, is no error; the status is the one that a shell expects. Other
 * failures, such as a full disk, are told in one line.
 */
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(ExitCode.brokenPipe)
    if (stream === process.stdout) {
      const { code = 'ERR_UNKNOWN', message } = error
      printError({ code, message: `Cannot write to standard output: ${message}` })
    }
    process.exit(ExitCode.failure)
  })
}

const program = new Command('torchbed')
  .description('CPython and PyTorch inside a Node.js process.')
  .version(version, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'print this help')
  .helpCommand('help [command]', 'print the help of a command')
  .configureHelp({ styleTitle: (text) => styleOf(process.stdout).bold(text) })
  .showSuggestionAfterError()
  .enablePositionalOptions()
  .exitOverride()
  .addHelpText(
    'after',
    '\nExit codes: 0 done, 1 failure, 2 bad usage or config, 130 stopped by Ctrl-C.\n' +
      '\nExamples:\n' +
      '  torchbed init             a first project in this folder\n' +
      '  torchbed train            trains what ./torchbed.json describes\n' +
      '  torchbed inspect out/store\n' +
      '  torchbed doctor           what is wrong here and how to repair it\n',
  )
addInitCommand(program)
addTrainCommand(program)
addInspectCommand(program)
addHubCommands(program)
addNodeCommand(program)
addKeysCommand(program)
addDoctorCommand(program)
addBuildCommand(program)

program.showHelpAfterError('Run "torchbed --help" for all commands.')
for (const command of program.commands) {
  command.showHelpAfterError(`Run "torchbed ${command.name()} --help" for its options.`)
}

program.parseAsync().catch((error: unknown) => {
  if (!(error instanceof CommanderError)) throw error
  process.exitCode = error.exitCode === 0 ? ExitCode.done : ExitCode.badUsage
})
