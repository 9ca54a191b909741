/** Reads the recorded messages: what Rust peers and a probe sent each other (see README.md here). */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

/** The recorded runs. */
export const RUNS = ['trainer', 'validator', 'network', 'diloco'] as const

/** A line that holds a message of its own. */
export interface RecordedMessage {
  readonly run: string
  readonly n: number
  readonly by: 'rust' | 'probe'
  readonly kind: 'request' | 'response' | 'gossip'
  /** The CBOR of a request or a response. */
  readonly cbor?: Uint8Array
  /** The text of a gossip message. */
  readonly json?: string
  /** The id that the reference computes for the text. */
  readonly messageId?: string
}

interface Line {
  readonly n: number
  readonly by: 'rust' | 'probe'
  readonly kind: 'request' | 'response' | 'gossip'
  readonly cbor_base64?: string
  readonly json?: string
  readonly message_id?: string
  readonly same_as?: number
}

/** All recorded messages of these kinds, those that repeat another left out. */
export function recordedMessages(
  ...kinds: readonly RecordedMessage['kind'][]
): readonly RecordedMessage[] {
  return RUNS.flatMap((run) => {
    const text = readFileSync(resolve('test/recorded/messages', `${run}.jsonl`), 'utf8')
    const lines = text.trimEnd().split('\n')
    return lines
      .map((line) => JSON.parse(line) as Line)
      .filter(({ kind, same_as }) => kinds.includes(kind) && same_as === undefined)
      .map(({ n, by, kind, cbor_base64, json, message_id }) => ({
        run,
        n,
        by,
        kind,
        ...(cbor_base64 === undefined
          ? {}
          : { cbor: new Uint8Array(Buffer.from(cbor_base64, 'base64')) }),
        ...(json === undefined ? {} : { json }),
        ...(message_id === undefined ? {} : { messageId: message_id }),
      }))
  })
}
