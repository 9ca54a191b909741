/** A folder in which the blocks of one document run one after the other, as a reader would run them. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import ts from 'typescript'
import { TrainConfig } from '../../../lib/cli/train/config.js'
import { findPython } from '../../../lib/index.js'
import { PythonTorchRuntimeConfig } from '../../../lib/schema/index.js'
import { place, read, root, type Block } from './blocks.js'
import { sameOutput } from './same-output.js'
import { inSetup, pythonPackage } from './setups.js'

/** How long one block may take, in milliseconds. */
const BLOCK_MS = 50_000

/** What the JSON of a document can be. */
const SCHEMAS: Readonly<Record<string, (text: string) => unknown>> = {
  'train-config': (text) => TrainConfig.fromJson(text),
  'runtime-config': (text) => PythonTorchRuntimeConfig.fromJson(text),
  json: (text) => JSON.parse(text) as unknown,
}

export class Session {
  /** What the block before printed, stdout and stderr together. */
  output = ''
  readonly folder: string
  readonly #python: string
  readonly #saved = new Map<string, boolean>()

  /** Makes the folder as a project that has torchbed installed, and a `.venv`. */
  static async open(): Promise<Session> {
    const { executable, prefix } = await findPython()
    const folder = await mkdtemp(join(tmpdir(), 'torchbed-docs-'))
    const bin = join(folder, 'node_modules', '.bin')
    await mkdir(bin, { recursive: true })
    await symlink(root, join(folder, 'node_modules', 'torchbed'), 'dir')
    // Which a reader installs for a schema, or a node, of their own.
    for (const name of ['zod', '@libp2p']) {
      await symlink(join(root, 'node_modules', name), join(folder, 'node_modules', name), 'dir')
    }
    const main = join(root, 'dist', 'lib', 'cli', 'main.js')
    // npm makes the file executable when it installs; a clone's is not.
    const command = `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`
    await writeFile(join(bin, 'torchbed'), command, { mode: 0o755 })
    await symlink(prefix, join(folder, '.venv'), 'dir')
    return new Session(folder, executable)
  }

  private constructor(folder: string, python: string) {
    this.folder = folder
    this.#python = python
  }

  close(): Promise<void> {
    return rm(this.folder, { recursive: true })
  }

  /** Runs a block, or fails: a block that nothing runs fails as well. */
  async run(block: Block): Promise<void> {
    const { code, directive, language } = block
    const name = directive.get('save')
    if (name !== undefined) {
      await writeFile(join(this.folder, name), code)
      this.#saved.set(name, false)
    }
    for (const saved of this.#saved.keys()) {
      if (saved !== name && code.includes(saved.replace(/\.\w+$/, ''))) this.#saved.set(saved, true)
    }
    const setup = directive.get('in')
    const program = setup === undefined ? code : inSetup(setup, code)
    if (directive.has('output')) this.#compare(block)
    else if (language === 'json') this.#parse(block)
    else if (directive.has('patch')) await this.#patch(block)
    else if (language === 'diff') checkDiff(block)
    else if (directive.has('shell')) await this.#execute('bash', ['-euc', code], block)
    else if (language === 'js' || language === 'ts') await this.#runScript(program, block)
    else if (name !== undefined) return
    else await this.#execute(this.#python, ['-c', program], block)
  }

  /** Files that were kept for blocks that never came. */
  unused(): string[] {
    const isRun = (name: string) => /\.(mjs|js|ts)$/.test(name)
    return [...this.#saved].filter(([name, used]) => !used && !isRun(name)).map(([name]) => name)
  }

  async #runScript(program: string, block: Block): Promise<void> {
    const file = join(this.folder, block.directive.get('save') ?? 'block.mjs')
    const { module, target } = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 }
    const options = { compilerOptions: { module, target, verbatimModuleSyntax: true } }
    await writeFile(file, ts.transpileModule(program, options).outputText)
    await this.#execute(process.execPath, [file], block)
  }

  async #patch(block: Block): Promise<void> {
    const name = block.directive.get('patch')!
    const diff = `--- a/${name}\n+++ b/${name}\n${block.code}`
    await writeFile(join(this.folder, 'block.diff'), diff)
    await this.#execute('git', ['apply', '--recount', '--unidiff-zero', 'block.diff'], block)
  }

  #parse(block: Block): void {
    const schema = SCHEMAS[block.directive.get('as') ?? '']
    assert.ok(schema, `${place(block)}: JSON needs a schema, <!-- run: as=… -->`)
    schema(block.code)
  }

  #compare(block: Block): void {
    const shapeOnly = block.directive.get('output') === 'shape'
    const difference = sameOutput(block.code, this.output, { shapeOnly })
    assert.equal(difference, undefined, `${place(block)} is not what was printed:\n${this.output}`)
  }

  async #execute(program: string, args: string[], block: Block): Promise<void> {
    const path = [join(this.folder, 'node_modules', '.bin'), dirname(process.execPath)]
    const child = spawn(program, args, {
      cwd: this.folder,
      env: {
        ...process.env,
        NO_COLOR: '1',
        PATH: [...path, process.env.PATH].join(delimiter),
        PYTHONPATH: program === this.#python ? pythonPackage : undefined,
        TORCHBED_PYTHON: this.#python,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: BLOCK_MS,
      killSignal: 'SIGKILL',
    })
    this.output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.output += text))
    }
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) =>
      child.on('error', reject).on('close', (...end) => resolve(end)),
    )
    assert.deepEqual([code, signal], [0, null], `${place(block)}\n${this.output}`)
  }
}

/** A diff that only shows something shows lines of files beside its document. */
function checkDiff(block: Block): void {
  const folder = dirname(block.document)
  const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(py|ts|mjs|js|json)$/.test(name))
    .map((name) => read(`${folder}/${name}`))
  const known = new Set(files.flatMap((text) => text.split('\n')))
  const lines = block.code.split('\n').filter((line) => /^[-+ ]/.test(line))
  assert.ok(lines.length > 0, `${place(block)} is no diff`)
  for (const line of lines)
    assert.ok(known.has(line.slice(1)), `${place(block)}: no file has ${line}`)
}
