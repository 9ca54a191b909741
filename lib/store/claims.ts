/**
 * Claims: what writers own while no manifest names it yet.
 *
 * A writer notes each chunk in its claim, a file of its own, before it looks for the chunk or writes it, and deletes the
 * claim once the manifest is there or cannot come any more. Garbage collection spares what live claims name. A claim dies
 * with its process: the file's name has the process's stamp. On other machines, where that says nothing, and for a thread
 * that died alone, it dies when it has not been renewed for {@link CLAIM_TIMEOUT_MS}.
 *
 * The first line is the number of bytes that the writer asks for, so that others leave them free; each further one the
 * length and the file name of a chunk.
 */

import { randomBytes } from 'node:crypto'
import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { appendFile, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'

import { hasEnded, processStamp, stampIn } from '../files/process-stamp.js'
import { CLAIM_RENEWAL_MS, CLAIM_TIMEOUT_MS } from './constants.js'
import { isMissing } from './files.js'

const ENDING = '.claim'

/** What one writer claims. */
export class Claim {
  readonly #path: string
  readonly #timer: NodeJS.Timeout

  /** @param folder of the claims, which must exist when something is added */
  constructor(folder: string) {
    const name = `${processStamp()}-${randomBytes(6).toString('hex')}${ENDING}`
    this.#path = join(folder, name)
    // What the system refuses meanwhile shows at the end, where every chunk is looked for.
    this.#timer = setInterval(() => void this.renew().catch(() => undefined), CLAIM_RENEWAL_MS)
    this.#timer.unref()
  }

  /** Asks for free space that others leave alone, in bytes. First of all. */
  async reserve(bytes: number): Promise<void> {
    await appendFile(this.#path, `${bytes}\n`)
  }

  /** Claims a chunk by the name of its file. From when this resolves, no collection takes it. */
  async add(name: string, bytes: number): Promise<void> {
    // Opened anew each time: on a network file system, that is when others are sure to see it.
    await appendFile(this.#path, `${bytes} ${name}\n`)
  }

  /** Keeps the claim alive. */
  async renew(): Promise<void> {
    const now = new Date()
    await utimes(this.#path, now, now)
  }

  /** Lets go of everything. Never rejects: a claim that cannot be deleted dies by itself. */
  async release(): Promise<void> {
    clearInterval(this.#timer)
    await rm(this.#path, { force: true }).catch(() => undefined)
  }
}

/** One claim of another writer, as far as it has been read. */
interface Known {
  length: number
  /** The beginning of a line whose end is not there yet. */
  rest: string
  /** Bytes that were asked for. */
  reserved: number
  /** Bytes of the chunks that have been claimed. */
  claimed: number
}

/**
 * The claims of all live writers. It reads synchronously, some microseconds each time, as a collector looks while chunks have
 * no names; only what is new is read.
 */
export class Claims {
  readonly #folder: string
  readonly #known = new Map<string, Known>()
  readonly #names = new Set<string>()
  readonly #dead = new Set<string>()

  constructor(folder: string) {
    this.#folder = folder
  }

  /** The file names of all chunks that were claimed at any time when this was read. */
  names(): ReadonlySet<string> {
    this.#read()
    return this.#names
  }

  /** Bytes that live writers have asked for, and not claimed chunks for yet. */
  owed(): number {
    let owed = 0
    for (const name of this.#read()) {
      const { reserved, claimed } = this.#known.get(name) ?? { reserved: 0, claimed: 0 }
      owed += Math.max(0, reserved - claimed)
    }
    return owed
  }

  /** Deletes the claims that were found dead. */
  async removeDead(): Promise<void> {
    for (const name of this.#dead) await rm(join(this.#folder, name), { force: true })
  }

  /** Reads what is new, and returns the file names of the live claims. */
  #read(): string[] {
    const live: string[] = []
    for (const name of claimsIn(this.#folder)) {
      if (this.#dead.has(name)) continue
      try {
        if (this.#readOne(name)) live.push(name)
        else this.#dead.add(name)
      } catch (error) {
        // Released meanwhile.
        if (!isMissing(error)) throw error
      }
    }
    return live
  }

  /** False when the claim is dead. */
  #readOne(name: string): boolean {
    const path = join(this.#folder, name)
    const stamp = stampIn(name)
    if (stamp === undefined || hasEnded(stamp)) return false
    if (Date.now() - statSync(path).mtimeMs >= CLAIM_TIMEOUT_MS) return false
    const known = this.#known.get(name) ?? { length: 0, rest: '', reserved: 0, claimed: 0 }
    this.#known.set(name, known)
    const text = readFrom(path, known.length)
    known.length += text.length
    const lines = (known.rest + text.toString('latin1')).split('\n')
    known.rest = lines.pop() ?? ''
    for (const line of lines) {
      const [bytes = '', chunk] = line.split(' ')
      if (chunk === undefined) known.reserved += Number(bytes)
      else {
        known.claimed += Number(bytes)
        this.#names.add(chunk)
      }
    }
    return true
  }
}

function claimsIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith(ENDING))
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** What a file has from a place on. */
function readFrom(path: string, start: number): Buffer {
  const file = openSync(path, 'r')
  try {
    const length = Math.max(0, fstatSync(file).size - start)
    const bytes = Buffer.allocUnsafe(length)
    return length === 0 ? bytes : bytes.subarray(0, readSync(file, bytes, 0, length, start))
  } finally {
    closeSync(file)
  }
}
