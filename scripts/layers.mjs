/** The layers of lib/ as rules for ESLint: which folder may import from which. */

/**
 * Each folder, from the lowest up, with the folders that it may import from besides `lib/errors.ts`. Only folders that stand
 * before it can be named, so there is no circle between folders.
 */
export const LAYERS = {
  core: [],
  files: ['core'],
  json: ['core'],
  threads: ['core'],
  schema: ['core', 'json'],
  safetensors: ['core', 'files', 'json', 'schema'],
  runtime: ['core', 'files', 'json', 'schema', 'threads'],
  hub: ['core', 'files', 'safetensors'],
  lineage: ['core', 'json', 'schema'],
  data: ['core', 'files', 'json', 'schema', 'safetensors'],
  store: ['core', 'files', 'json', 'threads', 'schema', 'lineage'],
  project: [
    'core',
    'files',
    'json',
    'schema',
    'safetensors',
    'runtime',
    'lineage',
    'data',
    'store',
  ],
  swarm: ['core', 'files', 'json', 'schema', 'lineage', 'data', 'store'],
  training: [
    ...['core', 'files', 'json', 'schema', 'runtime', 'lineage', 'data', 'store', 'project'],
    'swarm',
  ],
  diloco: [
    ...['core', 'files', 'json', 'threads', 'schema', 'safetensors', 'runtime', 'lineage', 'data'],
    ...['store', 'project', 'swarm'],
  ],
  // Moves records and bytes, not models: never project. DiLoCo runs on the swarm, not on this: never either way.
  p2p: ['core', 'files', 'json', 'threads', 'schema', 'lineage', 'data', 'store', 'swarm'],
  doctor: ['core', 'files', 'runtime'],
}

const FOLDERS = Object.keys(LAYERS)

/** The modules of Node.js that read, write or wait; pure folders do without. */
const INPUT_OUTPUT =
  '^(node:)?(fs|net|http|https|http2|tls|dgram|child_process|worker_threads|cluster|timers|stream|readline|process|os)(/|$)'

const PURE_FOLDERS = ['lineage']

function rulesOf(folder) {
  const allowed = LAYERS[folder]
  const forbidden = [
    ...FOLDERS.filter((other) => other !== folder && !allowed.includes(other)),
    'cli',
  ]
  const patterns = [
    {
      regex: `^(\\.\\./)+(${forbidden.join('|')})/`,
      message: `lib/${folder} may import from ${[...allowed, 'errors.ts'].join(', ')}: see scripts/layers.mjs.`,
    },
    {
      regex: '^(\\.\\./)+(index|zod)\\.js$',
      message: 'The door is for users, not for the library.',
    },
  ]
  if (PURE_FOLDERS.includes(folder)) {
    patterns.push({ regex: INPUT_OUTPUT, message: `lib/${folder} is pure: no input or output.` })
  }
  return {
    files: [`lib/${folder}/**/*.ts`],
    rules: { 'no-restricted-imports': ['error', { patterns }] },
  }
}

export const layerRules = FOLDERS.map(rulesOf)
