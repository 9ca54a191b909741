/** Reads and checks a model folder in the layout of Hugging Face. Nothing but headers is read of the weights. */

import { open, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { throwIfAborted, type OperationOptions } from '../core/abort.js'
import { readWholeFile } from '../files/read-whole.js'
import { readSafetensorsHeader, type TensorInfo } from '../safetensors/index.js'
import { HubFolderError } from './errors.js'

/** Longest `config.json` and index that are read, in bytes: a model of a million tensors stays below. */
export const MAX_HUB_JSON_BYTES = 128 * 1024 * 1024

/** A tensor of such a folder. */
export interface HubTensor extends Pick<TensorInfo, 'name' | 'dtype' | 'shape' | 'bytes'> {
  /** Absolute path of the file that holds it. */
  readonly file: string
  /** Where its bytes begin in that file. */
  readonly start: number
}

/** What is in such a folder. */
export interface HubFolder {
  /** Absolute. */
  readonly path: string
  /** What `config.json` says; its fields are the model's own. */
  readonly config: Readonly<Record<string, unknown>>
  /** Of all files, in the order of their names. */
  readonly tensors: readonly HubTensor[]
}

/**
 * Reads `config.json` and the headers of all weights: those that `model.safetensors.index.json` lists, where it is
 * there, else `model.safetensors`. An index may only name files of the folder itself, and must list what they hold:
 * each tensor once, no more and no less. Files may be links, of which the cache of Hugging Face is made.
 *
 * @throws HubFolderError for a folder that contradicts itself, or lacks a file
 * @throws SafetensorsHeaderError, SafetensorsIoError for a file of weights that cannot be read
 * @throws AbortError when the signal fires
 */
export async function readHubFolder(
  folder: string,
  options: OperationOptions = {},
): Promise<HubFolder> {
  const path = resolve(folder)
  const { signal } = options
  throwIfAborted(signal, `read ${JSON.stringify(path)}`)
  const config = await readObject(path, 'config.json')
  if (config === undefined) throw refused(path, 'it has no config.json')
  const index = await readObject(path, INDEX)
  const places = index === undefined ? undefined : placesOf(path, index)
  const files = places === undefined ? ['model.safetensors'] : [...new Set(places.values())].sort()
  const tensors = new Map<string, HubTensor>()
  for (const name of files) {
    const file = join(path, name)
    if (!(await isFile(file))) throw refused(path, `it has no file ${JSON.stringify(name)}`)
    const header = await readSafetensorsHeader(file, options)
    for (const { name: tensor, dtype, shape, bytes, offset } of header.tensors) {
      const quoted = JSON.stringify(tensor)
      if (tensors.has(tensor)) throw refused(path, `two of its files hold the tensor ${quoted}`)
      if (places !== undefined && places.get(tensor) !== name) {
        const claim = places.has(tensor) ? 'is in another file by' : 'is not in'
        throw refused(path, `the tensor ${quoted} of ${JSON.stringify(name)} ${claim} ${INDEX}`)
      }
      const start = header.dataStart + offset
      tensors.set(tensor, { name: tensor, dtype, shape, bytes, file, start })
    }
  }
  for (const [tensor, name] of places ?? []) {
    if (tensors.has(tensor)) continue
    throw refused(
      path,
      `${INDEX} promises the tensor ${JSON.stringify(tensor)}, which ${JSON.stringify(name)} does not hold`,
    )
  }
  const sorted = [...tensors.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  return { path, config, tensors: sorted }
}

/** The index of a model in several files. */
export const INDEX = 'model.safetensors.index.json'

/** The file of each tensor. */
function placesOf(path: string, index: Record<string, unknown>): Map<string, string> {
  const { weight_map: map } = index
  if (!isObject(map)) throw refused(path, `${INDEX} has no object "weight_map"`)
  const places = new Map<string, string>()
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== 'string' || !/^(?!\.)[^/\\:\0]+\.safetensors$/.test(file)) {
      throw refused(
        path,
        `${INDEX} puts the tensor ${JSON.stringify(tensor)} into ${JSON.stringify(file)}, which is no name of ` +
          'a safetensors file in the folder',
      )
    }
    places.set(tensor, file)
  }
  return places
}

/** A JSON object; undefined when there is no such file. */
async function readObject(
  path: string,
  name: string,
): Promise<Record<string, unknown> | undefined> {
  const file = join(path, name)
  if (!(await isFile(file))) return undefined
  const handle = await open(file)
  try {
    const { size } = await handle.stat()
    if (size > MAX_HUB_JSON_BYTES) {
      throw refused(path, `${name} has ${size} bytes, more than ${MAX_HUB_JSON_BYTES}`)
    }
    const value: unknown = JSON.parse((await readWholeFile(handle, size)).toString('utf8'))
    if (isObject(value)) return value
    throw refused(path, `${name} is not a JSON object`)
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw refused(path, `${name} is not JSON: ${cause.message}`, cause)
  } finally {
    await handle.close()
  }
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function refused(path: string, problem: string, cause?: unknown): HubFolderError {
  return new HubFolderError(
    `Cannot read the model folder ${JSON.stringify(path)}: ${problem}; get an intact copy`,
    { cause },
  )
}
