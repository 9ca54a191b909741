/**
 * Writes the text once, trains the tiny preset on it, and lets the trained model write.
 * Further arguments go to `torchbed train`, such as `--json`; then the model does not write.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { cli, projectRoot } from '../root.js'

process.chdir(projectRoot)
const example = join('examples', 'bytes-gpt')
const out = join('out', 'bytes-gpt')
const python = join('.venv', process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python')
const furtherArgs = process.argv.slice(2)

/** Runs a program with this one's terminal and returns its exit code; Ctrl-C reaches both, SIGTERM is handed on. */
async function run(
  program: string,
  args: string[],
  stdout: 'inherit' | number = 'inherit',
): Promise<number> {
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

const steps = [
  // What the script says goes to stderr: with --json, stdout holds events alone.
  () => run(python, [join(example, 'prepare_bytes.py'), '--out', join(out, 'data')], 2),
  () =>
    run(process.execPath, [
      cli,
      ...['train', join(example, 'config.json'), '--python', python, '--out', out],
      ...furtherArgs,
    ]),
]
if (furtherArgs.length === 0) {
  const artifact = join(out, 'model.safetensors')
  steps.push(() => run(python, [join(example, 'continue_text.py'), artifact, '--preset', 'tiny']))
}
for (const step of steps) {
  process.exitCode = await step()
  if (process.exitCode !== 0) break
}
