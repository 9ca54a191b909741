import type { EventEmitter } from 'node:events'
import type { OutputPieces } from './embedded/addon.js'

/** What Python prints, a line each, without the line's end. */
export interface OutputEvents {
  stdout: [line: string]
  stderr: [line: string]
}

type StreamName = keyof OutputEvents

/**
 * Distributes what Python prints in this environment: as lines to the listeners of every runtime, or,
 * while a stream has no listener, unchanged to the process's own.
 */
export class OutputHub {
  readonly #emitters = new Set<EventEmitter<OutputEvents>>()
  /** Text behind the last line end, per stream. */
  readonly #partial: Record<StreamName, string> = { stdout: '', stderr: '' }

  add(emitter: EventEmitter<OutputEvents>): void {
    this.#emitters.add(emitter)
  }

  delete(emitter: EventEmitter<OutputEvents>): void {
    this.#emitters.delete(emitter)
  }

  /** Pieces as the bridge gives them. What a listener throws goes to the caller. */
  write(pieces: OutputPieces): void {
    for (let i = 0; i < pieces.length; i += 2) {
      this.#piece(pieces[i] === 2 ? 'stderr' : 'stdout', String(pieces[i + 1]))
    }
  }

  /** Gives out text that no line end followed; for the end of the process. */
  flush(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      if (this.#partial[stream] !== '') this.#piece(stream, '\n')
    }
  }

  #piece(stream: StreamName, text: string): void {
    const listeners = [...this.#emitters].filter((emitter) => emitter.listenerCount(stream) > 0)
    if (listeners.length === 0) {
      writeWithoutComplaint(process[stream], text)
      return
    }
    const lines = (this.#partial[stream] + text).split('\n')
    this.#partial[stream] = lines.pop() ?? ''
    for (const line of lines) {
      for (const emitter of listeners) emitter.emit(stream, line)
    }
  }
}

/** As console.log does: a closed pipe or a full disk is not the program's failure. */
function writeWithoutComplaint(stream: NodeJS.WriteStream, text: string): void {
  const ignore = () => undefined
  stream.once('error', ignore)
  stream.write(text, (error) => {
    // The event of a failed write comes after this.
    if (!error) stream.removeListener('error', ignore)
  })
}
