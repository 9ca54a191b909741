/** The Pythons of this machine: real interpreters, and scripts that stand before them. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Run an interpreter with `code` and return what it printed, trimmed. */
export async function python(executable: string, code: string, ...args: string[]): Promise<string> {
  return (await run(executable, ['-c', code, ...args])).stdout.trim()
}

/** Path of the real interpreter of a version such as `3.12`, or null when this machine has none. */
export async function interpreter(version: string): Promise<string | null> {
  const env = { ...process.env, PYENV_VERSION: version } // a pyenv shim would refuse otherwise
  try {
    const { stdout } = await run(`python${version}`, ['-c', 'import sys; print(sys.executable)'], {
      env,
    })
    return stdout.trim()
  } catch {
    return null
  }
}

/** Interpreter of the oldest installed version that is supported. */
export async function supportedInterpreter(): Promise<string | null> {
  for (const version of ['3.11', '3.12', '3.13', '3.14']) {
    const found = await interpreter(version)
    if (found !== null) return found
  }
  return null
}

/** A folder for one test, with space and umlaut in its name, and the files put into it. */
export class Folder {
  private constructor(readonly path: string) {}

  static async create(): Promise<Folder> {
    return new Folder(await mkdtemp(join(tmpdir(), 'torchbed tést ')))
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }

  async write(name: string, content: string): Promise<string> {
    const path = join(this.path, name)
    await writeFile(path, content)
    return path
  }

  /** An executable shell script. */
  async script(name: string, body: string): Promise<string> {
    const path = join(this.path, name)
    await writeFile(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 })
    return path
  }

  /** A script that runs the real `executable` after `statements`, which change its answers. */
  async altered(name: string, executable: string, statements: string): Promise<string> {
    const preamble = await this.write(
      `${name}.py`,
      `import sys\n${statements}\nexec(compile(sys.argv[-1], 'probe', 'exec'))\n`,
    )
    return this.script(name, `exec '${executable}' '${preamble}' "$@"`)
  }

  /** A virtual environment made by `executable`; returns the path of its interpreter. */
  async virtualEnvironment(name: string, executable: string): Promise<string> {
    const path = join(this.path, name)
    await run(executable, ['-m', 'venv', '--without-pip', path])
    return join(path, 'bin', 'python')
  }
}
