/** Programs, by their names on `PATH`. */
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { delimiter, resolve } from 'node:path'

/** The absolute paths of a program, the first on `PATH` first. */
export async function* programsOnPath(
  name: string,
  env: NodeJS.ProcessEnv,
  cwd: string,
): AsyncGenerator<string> {
  const file = process.platform === 'win32' && !/\.exe$/i.test(name) ? `${name}.exe` : name
  for (const folder of (env.PATH ?? env.Path ?? '').split(delimiter)) {
    const path = resolve(cwd, folder, file)
    if (folder !== '' && (await isExecutable(path))) yield path
  }
}

/** Whether a path is a file that this process may execute. */
export async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}
