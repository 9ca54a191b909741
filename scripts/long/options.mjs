/** The options of `npm run test:long`. */
import { parseArgs } from 'node:util'
import { Failure } from '../support/failure.mjs'

export const HELP = `npm run test:long [-- options]

  --only PART,...    these parts alone; default: all
  --quick            each cell once, on the Node.js that runs this
  --nodes 20,22,...  major versions of Node.js; default: the running one, 22, 24, 26.
                     Others than the running one come from npm, into build/nodes
  --cell NAME        these cells alone, such as 'training/exit'; * stands for anything
  --times N          run each cell so often
  --delay MS         leave so long after a state was reached, instead of at random
  --json FILE        write the results there, too
  --help             show this`

/** Versions of Node.js that a full run covers beside the running one. */
const OTHER_NODES = [22, 24, 26]

const REMEDY = '`npm run test:long -- --help` lists the options'

/**
 * @param {string[]} args
 * @param {string[]} parts names of all parts
 */
export function readOptions(args, parts) {
  const values = parsed(args)
  const own = Number(process.versions.node.split('.')[0])
  const usual = values.quick ? [own] : [...new Set([own, ...OTHER_NODES])]
  return {
    help: values.help,
    quick: values.quick,
    only: values.only?.split(',').map((name) => known(name, parts)) ?? parts,
    nodes: values.nodes?.split(',').map((text) => count('--nodes', text)) ?? usual,
    cell: values.cell ?? null,
    times: values.times === undefined ? null : count('--times', values.times),
    delay: values.delay === undefined ? null : count('--delay', values.delay, 0),
    json: values.json ?? null,
  }
}

function parsed(args) {
  const text = { type: 'string' }
  const flag = { type: 'boolean', default: false }
  const options = {
    ...{ only: text, quick: flag, nodes: text, cell: text, times: text, delay: text },
    ...{ json: text, help: flag },
  }
  try {
    return parseArgs({ args, options }).values
  } catch (error) {
    throw new Failure(error.message, REMEDY)
  }
}

function known(name, parts) {
  if (parts.includes(name)) return name
  throw new Failure(`there is no part "${name}"`, `name some of: ${parts.join(', ')}`)
}

function count(option, text, least = 1) {
  if (/^\d{1,6}$/.test(text) && Number(text) >= least) return Number(text)
  throw new Failure(
    `${option} cannot be "${text}"`,
    `give whole numbers from ${least} on. ${REMEDY}`,
  )
}
