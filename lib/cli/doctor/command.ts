import { InvalidArgumentError, type Command } from 'commander'
import { diagnose, MAX_ROUND_TRIP_TIMEOUT_MS } from '../../doctor/diagnose.js'
import { addCommonOptions, type CommonOptions } from '../common-options.js'
import { ExitCode } from '../exit-code.js'
import { jsonDocument } from '../text/json-document.js'
import { columnsOf, styleOf } from '../text/terminal.js'
import { checkLines, conclusionLines } from './text.js'

interface DoctorOptions extends CommonOptions {
  python?: string
  timeout?: number
}

/** Adds `torchbed doctor` to the program. */
export function addDoctorCommand(program: Command): void {
  const command = program
    .command('doctor')
    .summary('check Node.js, the addon, Python and torch, and how to repair them')
    .description(
      'Checks everything that torchbed needs on this machine, runs Python and torch once in a separate ' +
        'process, and reports the cause of each failure and the command that repairs it. Changes nothing.',
    )
    .option('--python <path>', 'the Python to check instead of the one that torchbed would choose')
    .option('--timeout <seconds>', 'how long Python and torch may take to start', seconds)
  addCommonOptions(command, 'print one JSON document on stdout', 'print only what is wrong')
    .addHelpText(
      'after',
      '\nExit codes: 0 torchbed works here, 1 something is wrong, 2 bad usage.\n' +
        '\nExamples:\n' +
        '  torchbed doctor\n' +
        '  torchbed doctor --python .venv/bin/python\n' +
        '  torchbed doctor --json | jq \'.checks[] | select(.status != "ok")\'\n',
    )
    .action(async (options: DoctorOptions) => {
      process.exitCode = await doctor(options)
    })
}

/** Runs the command and returns its exit code. */
async function doctor({ python, timeout, json, quiet }: DoctorOptions): Promise<number> {
  const { stdout } = process
  const [columns, style] = [columnsOf(stdout), styleOf(stdout)]
  const write = (lines: readonly string[]) =>
    stdout.write(lines.map((line) => `${line}\n`).join(''))
  const timeoutMs = timeout === undefined ? undefined : timeout * 1000
  const checks = await diagnose({ python, timeoutMs }, (check) => {
    if (!json && !(quiet && check.status === 'ok')) write(checkLines(check, columns, style))
  })
  const ok = checks.every(({ status }) => status !== 'failure')
  if (json) stdout.write(jsonDocument({ ok, checks }))
  else if (!quiet || checks.some(({ status }) => status !== 'ok')) {
    write(conclusionLines(checks, columns, style))
  }
  return ok ? ExitCode.done : ExitCode.failure
}

function seconds(text: string): number {
  const value = Number(text)
  const most = MAX_ROUND_TRIP_TIMEOUT_MS / 1000
  if (text.trim() !== '' && value > 0 && value <= most) return value
  throw new InvalidArgumentError(`Give a number of seconds from above 0 to ${most}.`)
}
