/** `torchbed import` and `torchbed export`: model folders in the layout of Hugging Face. */

import { readFile, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { InvalidArgumentError, type Command } from 'commander'
import { makeFolder } from '../../files/make-folder.js'
import { ConfigError } from '../../errors.js'
import { exportHubFolder, importHubFolder, MAX_SHARD_BYTES, renameBy } from '../../hub/index.js'
import { FsArtifactStore } from '../../store/index.js'
import { readCanonicalHead } from '../../store/canonical-head.js'
import { addCommonOptions, type CommonOptions } from '../common-options.js'
import { ExitCode } from '../exit-code.js'
import { describeError, exitCodeOf, printError } from '../report-error.js'
import { jsonDocument } from '../text/json-document.js'

interface HubOptions extends CommonOptions {
  rename: [string, string][]
}

interface ExportOptions extends HubOptions {
  config: string
  maxShardBytes: number
}

const RENAME = '--rename <from=to>'
const RENAME_HELP = 'replace a prefix of tensor names, the longest that fits; may be repeated'

const EXIT_CODES = '\nExit codes: 0 done, 1 failure, 2 bad usage.\n'

/** Adds `torchbed import` and `torchbed export` to the program. */
export function addHubCommands(program: Command): void {
  const importing = program
    .command('import')
    .summary('turn a Hugging Face model folder into one safetensors file')
    .description(
      'Writes the weights of a model folder (config.json with model.safetensors, or with shards and their ' +
        'index) into one safetensors file, as artifacts are.',
    )
    .argument('<folder>', 'the model folder')
    .argument('<file>', 'the file to write')
    .option(RENAME, RENAME_HELP, addRename, [])
  addCommonOptions(importing, 'print one JSON document on stdout', 'print only errors')
    .addHelpText(
      'after',
      `${EXIT_CODES}\nExamples:\n  torchbed import llama-folder llama.safetensors --rename model.=\n`,
    )
    .action(async (folder: string, file: string, options: HubOptions) => {
      process.exitCode = await run(options, async () => {
        const rename = renameBy(options.rename)
        await makeFolder(dirname(resolve(file)))
        const { tensors } = await importHubFolder(folder, resolve(file), { rename })
        return { file: resolve(file), ...sumOf(tensors) }
      })
    })
  const exporting = program
    .command('export')
    .summary('turn an artifact into a Hugging Face model folder')
    .description(
      'Writes a safetensors file, or the canonical head of a store, into a model folder: config.json with ' +
        'model.safetensors, or with shards and their index.',
    )
    .argument('<source>', 'a safetensors file, or a store such as out/store')
    .argument('<folder>', 'the folder to make')
    .requiredOption('--config <file>', 'JSON file that becomes config.json')
    .option(RENAME, RENAME_HELP, addRename, [])
    .option('--max-shard-bytes <bytes>', 'data of each file at most', bytes, MAX_SHARD_BYTES)
  addCommonOptions(exporting, 'print one JSON document on stdout', 'print only errors')
    .addHelpText(
      'after',
      `${EXIT_CODES}\nExamples:\n  torchbed export out/store my-model --config config.json\n`,
    )
    .action(async (source: string, folder: string, options: ExportOptions) => {
      process.exitCode = await run(options, async () => {
        const config = await readConfig(options.config)
        const rename = renameBy(options.rename)
        const { maxShardBytes } = options
        const exported = await withArtifact(resolve(source), resolve(folder), (artifact) =>
          exportHubFolder(artifact, folder, { config, rename, maxShardBytes }),
        )
        return { folder: resolve(folder), ...exported }
      })
    })
}

async function run(
  options: HubOptions,
  work: () => Promise<{ tensors: number; bytes: number; file?: string; folder?: string }>,
): Promise<number> {
  try {
    const done = await work()
    const { tensors, bytes, file, folder } = done
    if (options.json) process.stdout.write(jsonDocument(done))
    else if (!options.quiet) {
      process.stdout.write(`Wrote ${tensors} tensors, ${bytes} bytes, to ${file ?? folder ?? ''}\n`)
    }
    return ExitCode.done
  } catch (error) {
    const problem = describeError(error)
    if (options.json) process.stdout.write(jsonDocument({ error: problem }))
    printError(problem)
    return exitCodeOf(error)
  }
}

/** The file itself, or the canonical head of a store as one, which is removed afterwards. */
async function withArtifact<T>(
  source: string,
  folder: string,
  use: (artifact: string) => Promise<T>,
): Promise<T> {
  const found = await stat(source).catch(() => undefined)
  if (found?.isDirectory() !== true) return use(source)
  const store = new FsArtifactStore(source)
  const head = await readCanonicalHead(store)
  if (head === null) {
    throw new ConfigError(`Cannot export ${JSON.stringify(source)}`, [
      { path: '', message: 'it is no store with a canonical head, as torchbed train makes it' },
    ])
  }
  await makeFolder(folder)
  const file = join(folder, '.torchbed-artifact.safetensors')
  try {
    await store.materializeArtifactFile(await store.loadManifest(head.artifact_id), file)
    return await use(file)
  } finally {
    await rm(file, { force: true })
  }
}

async function readConfig(path: string): Promise<Record<string, unknown>> {
  const refuse = (message: string, cause?: unknown) =>
    new ConfigError(`Cannot use ${JSON.stringify(path)}`, [{ path: '', message }], { cause })
  let config: unknown
  try {
    config = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    throw refuse(cause instanceof Error ? cause.message : String(cause), cause)
  }
  if (typeof config === 'object' && config !== null && !Array.isArray(config)) {
    return config as Record<string, unknown>
  }
  throw refuse('it is not a JSON object')
}

function sumOf(tensors: readonly { readonly bytes: number }[]): { tensors: number; bytes: number } {
  return { tensors: tensors.length, bytes: tensors.reduce((sum, { bytes }) => sum + bytes, 0) }
}

function addRename(text: string, before: [string, string][]): [string, string][] {
  const at = text.indexOf('=')
  if (at < 0) throw new InvalidArgumentError('write it as from=to, such as model.=')
  return [...before, [text.slice(0, at), text.slice(at + 1)]]
}

function bytes(text: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number > 0) return number
  throw new InvalidArgumentError('it must be a whole number of bytes from 1 on')
}
