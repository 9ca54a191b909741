/** The options of `npm run matrix`. */
import { parseArgs } from 'node:util'
import { Failure } from '../support/failure.mjs'

/** Major versions of Node.js that the package is installed on. */
export const NODES = [20, 22, 24, 26]

/** Versions of CPython that it is run with. */
export const PYTHONS = ['3.11', '3.12', '3.13']

export const HELP = `npm run matrix [-- options]

  --nodes 20,22,...     major versions of Node.js; default: ${NODES.join(', ')}.
                        Others than the running one come from npm, into build/nodes
  --pythons 3.12,...    versions of CPython, or paths of interpreters; default: ${PYTHONS.join(', ')},
                        of which those that this machine lacks are left out
  --only CELL,...       these cells alone, such as 'node22/venv-3.12'; * stands for anything
  --json FILE           write the results there, too
  --readme              put the table into docs/internals/install-matrix.md; for the whole matrix only
  --help                show this

  TORCHBED_PIP_ARGS           further options for pip, such as an index with CPU wheels of torch
  TORCHBED_WITHOUT_TORCH=1    install no torch`

const REMEDY = '`npm run matrix -- --help` lists the options'

/** @param {string[]} args */
export function readOptions(args) {
  const values = parsed(args)
  const isPart = ['nodes', 'pythons', 'only'].some((name) => values[name] !== undefined)
  if (values.readme && isPart) {
    throw new Failure(
      '--readme cannot go with --nodes, --pythons or --only: the table is that of the whole matrix',
      'leave one of them out',
    )
  }
  return {
    help: values.help,
    nodes: values.nodes?.split(',').map(nodeMajor) ?? NODES,
    pythons: values.pythons?.split(',').map(pythonName) ?? null,
    only: values.only?.split(',') ?? null,
    json: values.json ?? null,
    readme: values.readme,
  }
}

function parsed(args) {
  const text = { type: 'string' }
  const flag = { type: 'boolean', default: false }
  const options = {
    ...{ nodes: text, pythons: text, only: text, json: text },
    ...{ readme: flag, help: flag },
  }
  try {
    return parseArgs({ args, options }).values
  } catch (error) {
    throw new Failure(error.message, REMEDY)
  }
}

function nodeMajor(text) {
  if (/^[1-9]\d?$/.test(text)) return Number(text)
  throw new Failure(`--nodes cannot be "${text}"`, `give major versions such as 22. ${REMEDY}`)
}

function pythonName(text) {
  if (/^3\.\d{1,2}$/.test(text) || /[/\\]/.test(text)) return text
  throw new Failure(
    `--pythons cannot be "${text}"`,
    `give versions such as 3.12, or paths of interpreters. ${REMEDY}`,
  )
}
