/** Places where Python code waits, or works in C, and which Ctrl-C ends in Python alone. */

/** Each goes on for 20 s or more when it is let. Each has told its progress before. */
export const waits: Readonly<Record<string, string>> = {
  sleep: 'time.sleep(20)',
  lock: 'import threading; l = threading.Lock(); l.acquire(); begun(); l.acquire(timeout=20)',
  'queue.get': 'import queue; begun(); queue.Queue().get()',
  event: 'import threading; begun(); threading.Event().wait(20)',
  future: `
import concurrent.futures
begun()
concurrent.futures.Future().result(20)`,
  socket: 'import socket; a, b = socket.socketpair(); begun(); a.recv(1)',
  select: 'import select, os; r, w = os.pipe(); begun(); select.select([r], [], [], 20)',
  pipe: 'import os; r, w = os.pipe(); begun(); os.read(r, 1)',
  flock: `
import fcntl, tempfile
file = tempfile.NamedTemporaryFile()
other = open(file.name)
fcntl.flock(file, fcntl.LOCK_EX)
begun()
fcntl.flock(other, fcntl.LOCK_EX)`,
  'subprocess.run': 'import subprocess; begun(); subprocess.run(["sleep", "20"])',
  'a multiprocessing queue': `
import multiprocessing
queue = multiprocessing.Queue()
begun()
queue.get(timeout=20)`,
  'asyncio.run': `
async def main():
    begun()
    await asyncio.sleep(20)
asyncio.run(main())`,
  'a loop of bytecodes': 'begun()\nwhile True: pass',
  'a regular expression': 'import re; begun(); re.match("(a*)*b", "a" * 64)',
  'arithmetic in C': 'begun(); 3 ** 10_000_000 ** 2',
}

/** Statements of the plain workload that tell their progress, and then wait. */
export function waiting(statement: string): string {
  const begins = statement.includes('begun()') ? statement : `begun(); ${statement}`
  return `
import torchbed
def begun(): torchbed.progress(0)
${begins}`
}
