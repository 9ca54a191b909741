import { Option, type Command } from 'commander'
import { addCommonOptions, type CommonOptions } from '../common-options.js'
import { ExitCode } from '../exit-code.js'
import { setVariable, unsetVariable } from '../../runtime/python/install-commands.js'
import { variablesOverBuild } from '../../runtime/embedded/addon-place.js'
import { describeError, exitCodeOf, printError } from '../report-error.js'
import { jsonDocument } from '../text/json-document.js'
import { printable } from '../text/printable.js'
import { buildAddon, type BuiltAddon } from './build.js'
import { CompileStatus } from './status.js'

interface BuildOptions extends CommonOptions {
  out?: string
  pythonInclude?: string
  verbose?: true
}

/** Adds `torchbed build` to the program. */
export function addBuildCommand(program: Command): void {
  const command = program
    .command('build')
    .summary('compile the native addon from its source, for a system without a prebuilt one')
    .description(
      'Compiles the native addon from the source in the package, with the CMake and the C++ compiler of this ' +
        'machine. Nothing is downloaded. If a tool is missing, the command that installs it is printed. From ' +
        'then on the compiled addon is used instead of the prebuilt one.',
    )
    .option(
      '--out <folder>',
      'build there instead of in the package, for example if that is read-only',
    )
    .option('--python-include <folder>', 'folder with the Python.h of any CPython >= 3.11')
    .addOption(
      new Option('--verbose', 'show what CMake and the compiler say').conflicts(['json', 'quiet']),
    )
  addCommonOptions(
    command,
    'print one JSON document on stdout: addon, bridge, tools, seconds',
    'print only errors',
  )
    .addHelpText(
      'after',
      '\nExit codes: 0 compiled, 1 something is missing or failed, 2 bad usage.\n' +
        '\nExamples:\n' +
        '  torchbed build\n' +
        '  CXX=clang++ torchbed build --verbose\n' +
        '  torchbed build --out ~/torchbed && export TORCHBED_PREBUILD=~/torchbed\n',
    )
    .action(async (options: BuildOptions) => {
      process.exitCode = await runBuild(options)
    })
}

/** Runs the command and returns its exit code. Errors are reported, not thrown. */
async function runBuild(options: BuildOptions): Promise<number> {
  const status = options.json || options.quiet || options.verbose ? undefined : new CompileStatus()
  try {
    const built = await buildAddon({
      out: options.out,
      pythonInclude: options.pythonInclude,
      onOutput: (text) => {
        status?.advance(text)
        if (options.verbose) process.stderr.write(text)
      },
    })
    status?.end()
    if (options.json) process.stdout.write(jsonDocument(built))
    else if (!options.quiet) process.stdout.write(report(built))
    return ExitCode.done
  } catch (error) {
    status?.end()
    const description = describeError(error)
    if (options.json) process.stdout.write(jsonDocument({ error: description }))
    printError(description)
    return exitCodeOf(error)
  }
}

function report({ addon, seconds, tools, prebuildFolder }: BuiltAddon): string {
  const path = (text: string) => printable(text, text.length)
  const isElsewhere = prebuildFolder !== null
  const commands = variablesOverBuild()
    .filter((name) => !(isElsewhere && name === 'TORCHBED_PREBUILD'))
    .map(unsetVariable)
  if (isElsewhere) commands.push(setVariable('TORCHBED_PREBUILD', prebuildFolder))
  return (
    `Compiled ${path(addon)} in ${seconds.toFixed(1)} s (CMake ${tools.cmakeVersion}).\n` +
    commands.map((command) => `Use it:  ${path(command)}\n`).join('')
  )
}
