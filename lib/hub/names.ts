/** Names of tensors on their way between two models. */

import { HubFolderError } from './errors.js'

/** The name on the other side, or null for a tensor that is left out. */
export type Rename = (name: string) => string | null

/**
 * A renaming by prefixes: `[['model.', ''], ['lm_head.', 'head.']]`. The longest prefix that fits a name is replaced;
 * a name that none fits stays.
 */
export function renameBy(prefixes: readonly (readonly [from: string, to: string])[]): Rename {
  const longestFirst = [...prefixes].sort(([a], [b]) => b.length - a.length)
  return (name) => {
    const rule = longestFirst.find(([from]) => name.startsWith(from))
    return rule === undefined ? name : rule[1] + name.slice(rule[0].length)
  }
}

/** The tensors under their new names. Throws {@link HubFolderError} where two would have the same. */
export function renamed<T extends { readonly name: string }>(
  tensors: readonly T[],
  rename: Rename,
): (T & { readonly name: string })[] {
  const from = new Map<string, string>()
  const kept: T[] = []
  for (const tensor of tensors) {
    const name = rename(tensor.name)
    if (name === null) continue
    const other = from.get(name)
    if (other !== undefined || name === '' || name === '__metadata__') {
      const why =
        other === undefined
          ? 'which no tensor may have'
          : `as ${JSON.stringify(other)} is, and only one can be`
      throw new HubFolderError(
        `Cannot rename the tensor ${JSON.stringify(tensor.name)}: it would be ${JSON.stringify(name)}, ${why}; ` +
          'rename it otherwise, or leave it out',
      )
    }
    from.set(name, tensor.name)
    kept.push({ ...tensor, name })
  }
  return kept
}
