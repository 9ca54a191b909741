/** Which processes another one has left behind, as /proc tells: Linux alone. */
import { readdir, readFile } from 'node:fs/promises'

/** A process; its number alone may be given to another one later. */
export interface RunningProcess {
  readonly pid: number
  /** Clock ticks from the start of the machine to its own. */
  readonly started: string
}

/**
 * The live processes whose environment has `NAME=value`, and those that descend from one of them or from
 * `root`, wherever their parents went; without `root` itself.
 */
export async function leftBehind(root: number, variable: string): Promise<RunningProcess[]> {
  const numbers = (await readdir('/proc')).map(Number).filter(Number.isInteger)
  const found = new Map<number, RunningProcess>()
  const parents = new Map<number, number>()
  await Promise.all(
    numbers.map(async (pid) => {
      const fields = await fieldsOf(pid)
      if (fields === undefined || fields.state === 'Z') return
      parents.set(pid, fields.parent)
      const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')
      if (environment.split('\0').includes(variable)) found.set(pid, fields.process)
    }),
  )
  const descends = (pid: number): boolean => {
    const parent = parents.get(pid)
    return parent !== undefined && (parent === root || found.has(parent) || descends(parent))
  }
  for (const pid of parents.keys()) {
    if (found.has(pid) || !descends(pid)) continue
    const fields = await fieldsOf(pid)
    if (fields !== undefined) found.set(pid, fields.process)
  }
  found.delete(root)
  return [...found.values()]
}

/** Whether it is alive; one that has ended and that nobody reaped is not. */
export async function isAlive({ pid, started }: RunningProcess): Promise<boolean> {
  const fields = await fieldsOf(pid)
  return fields !== undefined && fields.state !== 'Z' && fields.process.started === started
}

/** Its command line. */
export async function commandOf({ pid }: RunningProcess): Promise<string> {
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return line.replaceAll('\0', ' ').trim()
}

async function fieldsOf(
  pid: number,
): Promise<{ state: string; parent: number; process: RunningProcess } | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined)
  // The name in parentheses may hold anything.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (fields === undefined) return undefined
  const [state = '', parent = ''] = fields
  return { state, parent: Number(parent), process: { pid, started: fields[19] ?? '' } }
}
