/** The digits data that windows are trained on. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findPython } from '../../../lib/index.js'
import { example } from '../../support/cli.js'

/** Gives `use` a folder with the shards, which is removed afterwards. */
export async function withDigits<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'torchbed-abort-'))
  try {
    const { executable } = await findPython()
    await promisify(execFile)(executable, [example('digits', 'prepare.py'), '--out', folder])
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** The paths of all training shards. */
export async function shardsOf(folder: string): Promise<string[]> {
  const names = await readdir(join(folder, 'train'))
  return names.sort().map((name) => join(folder, 'train', name))
}
