/** A long-lived child that measures something each time it is given a line, and answers with a number. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export interface LineChild extends AsyncDisposable {
  /** Has it measure once more. In between it waits for the next line. */
  measure(): Promise<number>
}

/** Starts it and waits for its first line, which says that it is ready. Its stderr is this process's. */
export async function startLineChild(program: string, args: readonly string[]): Promise<LineChild> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const ended = once(child, 'close')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const nextLine = async () => {
    const line = await lines.next()
    if (line.done === true) throw new Error(`${program} ended; the reason is above`)
    return line.value
  }
  await nextLine()
  return {
    async measure() {
      child.stdin.write('\n')
      return Number(await nextLine())
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      await ended
      process.off('exit', kill)
    },
  }
}
