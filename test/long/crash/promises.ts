/**
 * What a process had promised when it was killed.
 *
 * It has registers: names with values. Before it changes what another process relies on, it tells what it begins;
 * when the call has returned, it tells that it is done. After the kill a register must have the value that was last
 * done, or one that was begun since.
 */
import { writeSync } from 'node:fs'

/** `null`: removed, or never there. */
export type PromisedValue = string | number | null

/** A line from a process to the one that will kill it. */
export type Report =
  | { readonly type: 'ready' }
  | { readonly type: 'begin' | 'done'; readonly name: string; readonly value: PromisedValue }
  | { readonly type: 'problem'; readonly text: string }

/** Values that a register may have, by its name. The first is the one that was last done. */
export type Promises = Readonly<Record<string, readonly PromisedValue[]>>

/** The file descriptor that reports go to. */
const REPORTS = 3

/** Synchronously: what is told was told, whenever the process is killed. */
export function report(line: Report): void {
  writeSync(REPORTS, `${JSON.stringify(line)}\n`)
}

export function begin(name: string, value: PromisedValue): void {
  report({ type: 'begin', name, value })
}

export function done(name: string, value: PromisedValue): void {
  report({ type: 'done', name, value })
}

/** A last line that was cut off by the kill is ignored. */
export function readReports(text: string): Report[] {
  const lines = text.split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line) as Report)
}

/** @throws {Error} where a register that has a value got another one without notice: a kill in between would look like a fault. */
export function promisesOf(reports: readonly Report[]): Promises {
  const promises: Record<string, PromisedValue[]> = {}
  for (const one of reports) {
    if (one.type === 'begin') (promises[one.name] ??= [null]).push(one.value)
    if (one.type === 'done') {
      if (promises[one.name]?.includes(one.value) === false)
        throw new Error(`${one.name} became ${one.value}, which nobody had begun`)
      promises[one.name] = [one.value]
    }
  }
  return promises
}
