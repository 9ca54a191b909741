/** Whose files these are: a process writes its stamp into their names, and others see whether it has ended. */

import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** A stamp within a file name: the machine, the process id, and when the process started. */
export const STAMP_PATTERN = '[0-9a-f]{12}-[0-9]{1,10}-[0-9]{1,20}'

const STAMP = new RegExp(`^(?:.*[.-])?(${STAMP_PATTERN})-[0-9a-f]+\\.[a-z]+$`)

let ownStamp: string | undefined

/** The stamp of this process: 12 hex digits, a hyphen, a process id, a hyphen, a number. */
export function processStamp(): string {
  ownStamp ??= `${machine()}-${process.pid}-${startOf(process.pid)?.time ?? '0'}`
  return ownStamp
}

/** The stamp in a file name, which has random hex digits and an ending after it; undefined when there is none. */
export function stampIn(name: string): string | undefined {
  return STAMP.exec(name)?.[1]
}

/**
 * Whether the process of a stamp is known to have ended. False when that cannot be known: it runs on another machine, in
 * another container, or before a restart of the system.
 */
export function hasEnded(stamp: string): boolean {
  if (stamp === processStamp()) return false
  const [on, pid, time] = stamp.split('-') as [string, string, string]
  if (on !== machine()) return false
  try {
    process.kill(Number(pid), 0)
  } catch (error) {
    // Anything else, such as EPERM, says that there is one.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true
  }
  const start = startOf(Number(pid))
  if (start === undefined || time === '0') return false
  // The number may have gone to another process meanwhile.
  return start.time !== time || 'ZXx'.includes(start.state)
}

let ownMachine: string | undefined

/** What process ids are unique in, until a restart: a PID namespace of a boot; elsewhere than on Linux, the host. */
function machine(): string {
  ownMachine ??= createHash('sha256').update(surroundings()).digest('hex').slice(0, 12)
  return ownMachine
}

function surroundings(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')
    return `${boot}${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    return `${process.platform} ${hostname()}`
  }
}

/** State and start of a process, in clock ticks since the boot (proc(5)); undefined elsewhere than on Linux. */
function startOf(pid: number): { readonly state: string; readonly time: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the name, which may hold anything, in parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0] ?? '', time: fields[19] ?? '0' }
  } catch {
    return undefined
  }
}
