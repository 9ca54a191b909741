/** What Python prints, on its way to listeners or to the process's own streams. */
import type { EventEmitter } from 'node:events'
import type { OutputPieces } from './embedded/addon.js'
import { LineSplitter, type LineEnd } from './line-splitter.js'

/**
 * What Python prints, a line each, without the line's end, which comes beside it.
 *
 * A progress bar ends its lines by `'\r'`: the next one replaces it. `''` is a line that has not ended yet:
 * a prompt, a bar's latest state, or a part of a very long line. It is given out when the call is over or a tenth
 * of a second has gone by, and the rest of it follows. All lines and ends together are what Python printed.
 */
export interface OutputEvents {
  stdout: [line: string, end: LineEnd]
  stderr: [line: string, end: LineEnd]
}

type StreamName = keyof OutputEvents
type Listener = (line: string, end: LineEnd) => void

/** How long a line may stand unfinished before it is given out, in milliseconds. */
const UNFINISHED_MS = 100

const STREAMS = ['stdout', 'stderr'] as const

/**
 * Distributes what Python prints in this environment: as lines to the listeners of every runtime, or,
 * while a stream has no listener, unchanged to the process's own.
 */
export class OutputHub {
  readonly #emitters = new Set<EventEmitter<OutputEvents>>()
  readonly #lines: Record<StreamName, LineSplitter> = {
    stdout: new LineSplitter(),
    stderr: new LineSplitter(),
  }
  #timer: NodeJS.Timeout | undefined

  add(emitter: EventEmitter<OutputEvents>): void {
    this.#emitters.add(emitter)
  }

  delete(emitter: EventEmitter<OutputEvents>): void {
    this.#emitters.delete(emitter)
  }

  /** Pieces as the bridge gives them. Throws nothing: what a listener throws is an uncaught exception. */
  write(pieces: OutputPieces): void {
    for (let i = 0; i < pieces.length; i += 2) {
      this.#piece(pieces[i] === 2 ? 'stderr' : 'stdout', String(pieces[i + 1]))
    }
    if (STREAMS.some((stream) => this.#lines[stream].rest !== '')) this.#flushSoon()
  }

  /** Gives out lines that have not ended: for the end of a call, of a worker, of the process. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    for (const stream of STREAMS) {
      const [line, end] = this.#lines[stream].take()
      if (line !== '' || end !== '') this.#give(stream, line, end)
    }
  }

  #flushSoon(): void {
    if (this.#timer !== undefined) return
    this.#timer = setTimeout(() => this.flush(), UNFINISHED_MS)
    this.#timer.unref()
  }

  #piece(stream: StreamName, text: string): void {
    const lines = this.#lines[stream]
    if (!this.#isHeard(stream)) {
      writeWithoutComplaint(process[stream], lines.take().join('') + text)
      return
    }
    for (const [line, end] of lines.push(text)) this.#give(stream, line, end)
  }

  #isHeard(stream: StreamName): boolean {
    for (const emitter of this.#emitters) if (emitter.listenerCount(stream) > 0) return true
    return false
  }

  /** To every listener, whatever the others do. A listener may be the last, and be gone. */
  #give(stream: StreamName, line: string, end: LineEnd): void {
    if (!this.#isHeard(stream)) return writeWithoutComplaint(process[stream], line + end)
    for (const emitter of [...this.#emitters]) {
      for (const listener of emitter.rawListeners(stream) as Listener[]) {
        try {
          Reflect.apply(listener, emitter, [line, end])
        } catch (error) {
          // As what any listener throws: uncaught, and in the way of nothing else.
          process.nextTick(() => {
            throw error
          })
        }
      }
    }
  }
}

/** Writes of ours that are under way, by stream. */
const writing = new WeakMap<NodeJS.WriteStream, number>()

const ignore = (): void => undefined

/** As console.log does: a closed pipe or a full disk is not the program's failure. */
function writeWithoutComplaint(stream: NodeJS.WriteStream, text: string): void {
  if (text === '') return
  const before = writing.get(stream) ?? 0
  if (before === 0) stream.on('error', ignore)
  writing.set(stream, before + 1)
  stream.write(text, (error) => {
    // The event of a failed write comes after this.
    if (error) setImmediate(written, stream)
    else written(stream)
  })
}

function written(stream: NodeJS.WriteStream): void {
  const left = (writing.get(stream) ?? 1) - 1
  writing.set(stream, left)
  if (left === 0) stream.removeListener('error', ignore)
}
