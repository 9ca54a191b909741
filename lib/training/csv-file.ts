/** The numbers of a run as a table: CSV by RFC 4180. */

import { appendFile, stat } from 'node:fs/promises'
import type { Scalar, ScalarWriter } from './scalars.js'

/**
 * A CSV file with the columns `step`, `time`, `tag` and `value`: one line for each number, so that metrics may come and
 * go. `time` is in ISO 8601. Numbers are appended to a file that is there.
 */
export class CsvFile implements ScalarWriter {
  /** @param path - of the file; its folder exists */
  constructor(readonly path: string) {}

  /** Rejects with the system's error when the file cannot be written. One call at a time. */
  async add(scalars: readonly Scalar[]): Promise<void> {
    const isNew = ((await stat(this.path).catch(() => undefined))?.size ?? 0) === 0
    const lines = scalars.map(({ tag, step, value, at }) =>
      [step, new Date(at).toISOString(), quoted(tag), value].join(),
    )
    if (isNew) lines.unshift('step,time,tag,value')
    if (lines.length > 0) await appendFile(this.path, `${lines.join('\r\n')}\r\n`)
  }
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
