import { relative } from 'node:path'

/** An absolute path as one would type it: relative to the current folder where that is shorter. */
export function shortPath(path: string): string {
  const fromHere = relative('', path) || '.'
  return fromHere.length < path.length ? fromHere : path
}
