/**
 * The parts of `npm run test:long`, in the order in which they run.
 *
 * A part exports `run(options)`. It is given
 * - `quick`: whether a short run is asked for
 * - `nodes`: `[{ major, path, isOwn }]`, the Node.js versions to run on; `isOwn` is the one that runs this
 * - `cell`: null, or a name with `*` for any run of characters: only such cells are run (asked.mjs tells)
 * - `times`: null, or how often each cell is run
 * - `delay`: null, or a number in milliseconds that a part may understand
 *
 * and answers `{ cells, failures: [{ name, details, repeat }] }`: how many cells it ran, and for each failure its
 * name, the whole story, and the command that repeats it alone.
 */
export const PARTS = {
  exit: {
    what: 'how a process ends, in every state and in every way',
    load: () => import('./exit.mjs'),
  },
  fuzz: {
    what: 'properties over hostile bytes and hostile Python objects',
    load: () => import('./fuzz.mjs'),
  },
  sanitizers: {
    what: 'the native code under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer',
    load: () => import('./sanitizers.mjs'),
  },
  soak: {
    what: 'memory, models, references, files and processes after long repetition',
    load: () => import('./soak.mjs'),
  },
  abort: {
    what: 'how soon a window of real training ends when it is stopped',
    load: () => import('./abort.mjs'),
  },
  surroundings: {
    what: 'hostile surroundings, hooks that misuse the process, several environments, bundles',
    load: () => import('./surroundings.mjs'),
  },
  crash: {
    what: 'processes that are killed while they write a store or a shard cache',
    load: () => import('./crash.mjs'),
  },
  matrix: {
    what: 'the package, installed from its tarball, on every Node.js and Python',
    load: () => import('./matrix.mjs'),
  },
  cross: {
    what: 'the native libraries for Windows, compiled and linked',
    load: () => import('./cross.mjs'),
  },
  package: {
    what: 'the tarball: loaded on every Node.js, compiled by torchbed build',
    load: () => import('./package.mjs'),
  },
  doctor: {
    what: 'every installation that `torchbed doctor` finds fault with, made for real',
    load: async () => ({ run: (await suite())('doctor', ['process/cli/doctor', 'torch/doctor']) }),
  },
  docs: {
    what: 'every block of the README and the guides, run',
    load: async () => ({
      run: (await suite())('docs', ['tools/docs/blocks', 'tools/docs/types', 'torch/documents']),
    }),
  },
}

const suite = async () => (await import('./suites.mjs')).suites
