/** Whose connection is it? Answered by /proc, hence on Linux alone. */
import { readdir, readFile, readlink } from 'node:fs/promises'
import type { Socket } from 'node:net'

/**
 * Whether the other end of a connection over the loopback interface belongs to the session that
 * process `pid` leads: to that process, or to one that it started. Where this cannot be found out,
 * the answer is yes.
 */
export async function isConnectionOf(pid: number, socket: Socket): Promise<boolean> {
  const { remotePort, localPort } = socket
  if (remotePort === undefined || localPort === undefined) return false
  const table = await readFile('/proc/net/tcp', 'latin1').catch(() => undefined)
  if (table === undefined) return true
  const inode = inodeOf(table, remotePort, localPort)
  if (inode === undefined) return false
  if (await holds(pid, inode)) return true
  for (const name of await readdir('/proc')) {
    const other = Number(name)
    if (!Number.isInteger(other) || other === pid || (await sessionOf(other)) !== pid) continue
    if (await holds(other, inode)) return true
  }
  return false
}

/** The inode of the end at `port`, as the kernel's table of connections has it. */
function inodeOf(table: string, port: number, peerPort: number): string | undefined {
  const local = `:${hex(port)}`
  const remote = `:${hex(peerPort)}`
  for (const line of table.split('\n')) {
    const fields = line.trim().split(/\s+/)
    if (fields[1]?.endsWith(local) && fields[2]?.endsWith(remote)) return fields[9]
  }
  return undefined
}

function hex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0')
}

async function holds(pid: number, inode: string): Promise<boolean> {
  const folder = `/proc/${pid}/fd`
  for (const descriptor of await readdir(folder).catch(() => [])) {
    const target = await readlink(`${folder}/${descriptor}`).catch(() => '')
    if (target === `socket:[${inode}]`) return true
  }
  return false
}

async function sessionOf(pid: number): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')
  // The name in parentheses may hold anything; behind it: state, parent, group, session.
  const session = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]
  return session === undefined ? undefined : Number(session)
}
