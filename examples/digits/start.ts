/**
 * The main example, `npm start`: writes the digits dataset once, then trains on it.
 * Further arguments go to `torchbed train`, such as `--json`.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { cli, projectRoot } from '../root.js'

process.chdir(projectRoot)
const example = join('examples', 'digits')
const python = join('.venv', process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python')

/** Runs a program with this one's terminal and returns its exit code; Ctrl-C reaches both, SIGTERM is handed on. */
async function run(program: string, args: string[], stdout: 'inherit' | number): Promise<number> {
  const child = spawn(program, args, { stdio: ['inherit', stdout, 'inherit'] })
  // The child says how it ended; this process waits for that.
  const ignore = () => undefined
  const stop = () => child.kill('SIGTERM')
  process.on('SIGINT', ignore)
  process.on('SIGTERM', stop)
  const [code] = (await once(child, 'exit')) as [number | null]
  process.off('SIGINT', ignore)
  process.off('SIGTERM', stop)
  return code ?? 1
}

// What prepare.py says goes to stderr: with --json, stdout holds events alone.
process.exitCode = await run(python, [join(example, 'prepare.py')], 2)
if (process.exitCode === 0) {
  const train = ['train', join(example, 'config.json'), '--python', python, '--out', 'out/digits']
  process.exitCode = await run(
    process.execPath,
    [cli, ...train, ...process.argv.slice(2)],
    'inherit',
  )
}
