/** Looks up the commands of shell blocks: what each runs, and every option that it is given, must exist. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { torchbed } from '../../support/cli.js'
import { read, root } from './blocks.js'

/** Programs of the system or of others, which do not come from this repository. */
const FOREIGN = new Set(
  (
    'apt-get apk awk brew cat cd chmod cmake cmp conda cp curl dnf docker env export gdb git grep head jq kill ls mkdir mv nvm open ' +
    'patch perf pip ps pyenv pwd rm source sudo tar uv which xcode-select'
  ).split(' '),
)

/** Commands of npm itself that need no script. */
const NPM_COMMANDS = new Set([
  'ci',
  'explain',
  'init',
  'install',
  'link',
  'ls',
  'pack',
  'rebuild',
  'view',
])

const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }

/** The simple commands of a shell block, as words without quotes; comments and redirections are left out. */
export function commandsOf(code: string): string[][] {
  const commands: string[][] = []
  for (const line of code.replace(/\\\n\s*/g, ' ').split('\n')) {
    let words: string[] = []
    for (const [word] of line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)) {
      if (word.startsWith('#')) break
      if (/^(?:&&|\|\|?|;|&)$/.test(word)) {
        commands.push(words)
        words = []
      } else words.push(word.replace(/['"]/g, ''))
    }
    commands.push(words)
  }
  return commands
    .map((words) => words.slice(words.findIndex((word) => !/^\w+=/.test(word))))
    .filter((words) => words.length > 0)
}

/**
 * Fails when a command names what does not exist.
 *
 * @param made files that blocks above have made; what the command is told to write is added
 */
export async function checkCommand(words: string[], made: Set<string>): Promise<void> {
  const [program, ...args] = words as [string, ...string[]]
  for (const [index, word] of args.entries()) {
    if (index > 0 && /^(--json|--out|-o)$/.test(args[index - 1]!)) made.add(word)
  }
  const isMain = (path?: string) => path === 'dist/lib/cli/main.js'
  if (program === 'sudo' || program === 'env') return checkCommand(args.filter(notVariable), made)
  if (program === 'npm') checkNpm(args, made)
  else if (program === 'torchbed') await checkTorchbed(args)
  else if (program === 'npx') {
    const [tool, ...rest] = args.filter((word) => word !== '--no-install' && word !== '-y')
    if (tool === 'torchbed') await checkTorchbed(rest)
    else assert.ok(existsSync(join(root, 'node_modules', '.bin', tool!)), `no tool ${tool!}`)
  } else if (program === 'node' && isMain(args[0])) await checkTorchbed(args.slice(1))
  else if (/(^|\/)(node|python3?|python3?\.\d+)$/.test(program)) checkFiles(args, made)
  else if (program.startsWith('scripts/')) checkFiles([program], made)
  else assert.ok(FOREIGN.has(program), `nothing is known of the program "${program}"`)
}

const notVariable = (word: string) => !/^\w+=/.test(word)

function checkNpm(args: string[], made: Set<string>): void {
  const [command, ...rest] = args[0] === 'run' ? args.slice(1) : args
  const isScript = args[0] === 'run' || ['start', 'test', 't'].includes(command!)
  if (!isScript) return assert.ok(NPM_COMMANDS.has(command!), `npm has no "${command!}" here`)
  const script = scripts[command!]
  assert.ok(script !== undefined, `package.json has no script "${command!}"`)
  const source = sourceOf(script)
  for (const option of rest.slice(rest.indexOf('--') + 1)) {
    const name = /^--([\w-]+)/.exec(option)?.[1]
    if (name === undefined) checkFiles([option], made)
    else
      assert.match(
        source,
        new RegExp(`--${name}\\b|\\b${name}: |'${name}'`),
        `${command!} --${name}`,
      )
  }
}

/** The source of the program that a script runs last, and of the folder of its parts. */
function sourceOf(script: string): string {
  const program = [...script.matchAll(/node (\S+)/g)].at(-1)?.[1]
  if (program === undefined) return script
  const file = program.replace(/^dist\/(.*)\.js$/, '$1.ts')
  const folders = [
    file.replace(/\.\w+$/, ''),
    file.replace(/^scripts\/test-/, 'scripts/').replace(/\.\w+$/, ''),
  ]
  if (file.startsWith('bench/')) folders.push('bench')
  const parts = folders
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder)).map((name) => `${folder}/${name}`))
    .filter((path) => /\.(mjs|ts)$/.test(path))
  if (file === 'scripts/build-native.mjs') parts.push('node_modules/cmake-js/bin/cmake-js')
  // npm test hands what it does not know to mocha.
  if (file === 'scripts/test.mjs') parts.push('node_modules/mocha/lib/cli/run-option-metadata.cjs')
  return [file, ...parts].map(read).join('\n')
}

const help = new Map<string, Promise<string>>()

/** The help of `torchbed`, or of one of its commands. */
function helpOf(command: string[]): Promise<string> {
  const key = command.join(' ')
  const text = help.get(key) ?? torchbed([...command, '--help']).then(({ stdout }) => stdout)
  help.set(key, text)
  return text
}

/** A command line of torchbed, as one runs it or as its usage is written: `train <config> [--out <dir>]`. */
export async function checkTorchbed(args: string[]): Promise<void> {
  const [first] = args
  const command = first === undefined || first.startsWith('-') ? [] : [first]
  if (command.length > 0) {
    assert.match(
      await helpOf([]),
      new RegExp(`^  ${first!}\\b`, 'm'),
      `torchbed has no "${first!}"`,
    )
  }
  const text = await helpOf(command)
  for (const [option] of args.join(' ').matchAll(/(?<=^|[\s[|])--?[a-z][\w-]*/g)) {
    assert.match(
      text,
      new RegExp(`(^|[\\s,])${option}\\b`, 'm'),
      `torchbed ${command.join()} ${option}`,
    )
  }
}

/** Arguments that look like files of the repository are files of it, or were made above. */
function checkFiles(args: string[], made: Set<string>): void {
  for (const path of args.map((word) => word.split('::')[0]!)) {
    if (!/^[\w.-]+(\/[\w.*-]+)*\.(mjs|js|py|ts|toml|json)$/.test(path) || path.includes('*'))
      continue
    if (made.has(path) || path.startsWith('out/')) continue
    const source = path.replace(/^dist\/(.*)\.js$/, '$1.ts')
    assert.ok(existsSync(join(root, source)), `there is no ${path}`)
  }
}
