#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import { packageRoot } from '../runtime/package-root.js'
import { ExitCode } from './exit-code.js'
import { addInspectCommand } from './inspect/command.js'
import { addTrainCommand } from './train/command.js'

const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
  version: string
}

/** Whoever reads our output has gone, as `head` does: no error, the status that a shell expects. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(ExitCode.brokenPipe)
})

const program = new Command('torchbed')
  .description('CPython and PyTorch inside a Node.js process.')
  .version(version)
  .showSuggestionAfterError()
  .showHelpAfterError('Try --help.')
  .exitOverride()
addTrainCommand(program)
addInspectCommand(program)

program.parseAsync().catch((error: unknown) => {
  if (!(error instanceof CommanderError)) throw error
  process.exitCode = error.exitCode === 0 ? ExitCode.done : ExitCode.badUsage
})
