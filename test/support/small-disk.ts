import { execFileSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'

/**
 * Runs something with a disk of its own, mounted at a folder.
 *
 * @param size such as `64k`
 * @returns whether it ran; mounting is for root on Linux
 */
export async function onSmallDisk(
  folder: string,
  size: string,
  run: () => Promise<void>,
): Promise<boolean> {
  await mkdir(folder)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder], {
      stdio: 'ignore',
    })
  } catch {
    return false
  }
  try {
    await run()
  } finally {
    execFileSync('umount', [folder])
  }
  return true
}
