import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'

/**
 * Runs something on a disk of its own.
 *
 * @param size such as `64k` or `2m`
 * @returns false, without having run it, where this process may not mount one
 */
export async function withSmallDisk(
  folder: string,
  size: string,
  use: (disk: string) => Promise<void>,
): Promise<boolean> {
  if (process.platform !== 'linux') return false
  mkdirSync(folder, { recursive: true })
  const options = ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]
  if (spawnSync('mount', options).status !== 0) return false
  try {
    await use(folder)
  } finally {
    spawnSync('umount', [folder])
  }
  return true
}
