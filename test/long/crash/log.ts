/** What a crash of the whole machine could undo, told from the log that faults.c writes. */
import { dirname } from 'node:path'

/**
 * Replays writes, syncs and renames. Bytes are safe once their file was synced, a name once its folder was.
 *
 * @param needsBefore the folder whose names must be safe before a name appears in the given folder; undefined: none
 * @returns what was not safe when it had to be; at the end, everything has to be
 */
export function unsafeIn(
  log: string,
  needsBefore: (folder: string) => string | undefined = () => undefined,
): string[] {
  const problems: string[] = []
  const unsafeBytes = new Set<string>()
  const unsafeNames = new Set<string>()
  for (const line of log.split('\n').slice(0, -1)) {
    const [what, path = '', to = ''] = line.split('\t')
    if (what === 'write') unsafeBytes.add(path)
    if (what === 'sync') {
      unsafeBytes.delete(path)
      for (const name of unsafeNames) if (dirname(name) === path) unsafeNames.delete(name)
    }
    if (what === 'rename') {
      if (unsafeBytes.delete(path)) problems.push(`${to} was named before its bytes were safe`)
      const needed = needsBefore(dirname(to))
      for (const name of unsafeNames) {
        if (dirname(name) === needed) problems.push(`${to} was named before ${name} was safe`)
      }
      unsafeNames.add(to)
    }
  }
  return [...problems, ...[...unsafeNames].map((name) => `${name} may vanish`)]
}
