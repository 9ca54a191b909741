/**
 * Hostile surroundings and several environments: where a process runs or what its hook does, and what must
 * come of it. docs/internals/reliability.md explains the rules; this is the one place that decides them.
 */
import { join } from 'node:path'

/** What a cell's process can be given. */
export interface Given {
  /** A folder for this process alone. */
  readonly folder: string
  /** The installed copy of the package, where the cell has one. */
  readonly installed: string
  /** Another Python's `lib/python3.x`; undefined where this machine has none. */
  readonly otherLibrary: string | undefined
  readonly openssl: string
}

export interface Cell {
  /** Ends the sentence "a process ...". */
  readonly what: string
  /** Of actions.ts, environments.ts, or the bundle of bundle.ts. */
  readonly action: string
  /** What it leaves as its result; a regular expression stands for text. */
  readonly result: unknown
  readonly needsTorch?: true
  /** Runs only where there is another Python. */
  readonly needsOther?: true
  /** Environment variables; undefined removes one. */
  readonly env?: (given: Given) => Readonly<Record<string, string | undefined>>
  /** Shell commands before the process starts. `"$@"` is its command line. */
  readonly shell?: string
  /** A copy of the package: in a folder with odd letters, on a read-only mount, or beside this one. */
  readonly copy?: 'odd' | 'read-only' | 'second'
  readonly certificate?: true
  /** How the program is bundled: without the package, with it and what it needs, with it alone. */
  readonly bundle?: 'external' | 'whole' | 'alone'
  /** Default 0. */
  readonly code?: number
  /** Default: empty. */
  readonly stdout?: RegExp
  readonly stderr?: RegExp
}

/** Longest time of a cell, in milliseconds. */
export const CELL_LIMIT_MS = 20_000

const LIBRARY = 'dist/lib/index.js'

const ANSWER = { answer: 42, prefix: /./ }
const TRAINED = { learned: true, threads: /^\d+$/ }
const RAISED = (pythonType: string, message: RegExp) => ({
  code: 'ERR_HOOK_RAISED',
  message,
  pythonType,
})

const surroundings = {
  'bind-now': {
    what: 'with LD_BIND_NOW=1 trains',
    action: 'train',
    needsTorch: true,
    env: () => ({ LD_BIND_NOW: '1' }),
    result: [TRAINED],
  },
  'python-home': {
    what: 'with the PYTHONHOME of another Python starts',
    action: 'plain',
    needsOther: true,
    env: ({ otherLibrary = '' }) => ({ PYTHONHOME: join(otherLibrary, '..', '..') }),
    result: [ANSWER],
  },
  'python-path': {
    what: 'with the site-packages of another Python in PYTHONPATH starts',
    action: 'plain',
    needsOther: true,
    env: ({ otherLibrary = '' }) => ({ PYTHONPATH: join(otherLibrary, 'site-packages') }),
    result: [ANSWER],
  },
  'python-path-library': {
    what: 'with the standard library of another Python in PYTHONPATH gets a typed error',
    action: 'start',
    needsOther: true,
    env: ({ otherLibrary }) => ({ PYTHONPATH: otherLibrary }),
    result: { code: 'ERR_PYTHON_START', message: /./ },
  },
  'python-startup': {
    what: 'with a PYTHONSTARTUP that ends Python does not run it',
    action: 'plain',
    env: ({ folder }) => ({ PYTHONSTARTUP: join(folder, 'startup.py') }),
    shell: 'echo "import os; os._exit(9)" > "$SURROUND_FOLDER/startup.py"',
    result: [ANSWER],
  },
  'no-home': {
    what: 'without HOME trains',
    action: 'train',
    needsTorch: true,
    env: () => ({ HOME: undefined }),
    result: [TRAINED],
  },
  'read-only': {
    what: 'with the package in a folder that is mounted read-only trains',
    action: 'train',
    needsTorch: true,
    copy: 'read-only',
    env: ({ installed }) => ({ TORCHBED_LIBRARY: join(installed, LIBRARY) }),
    result: [TRAINED],
  },
  'odd-path': {
    what: 'with the package below a folder with spaces and other letters trains',
    action: 'train',
    needsTorch: true,
    copy: 'odd',
    env: ({ installed }) => ({ TORCHBED_LIBRARY: join(installed, LIBRARY) }),
    result: [TRAINED],
  },
  'c-locale': {
    what: 'in the C locale, with the package below such a folder, starts',
    action: 'plain',
    copy: 'odd',
    env: ({ installed }) => ({ TORCHBED_LIBRARY: join(installed, LIBRARY), LC_ALL: 'C' }),
    result: [ANSWER],
  },
  'stdout-closed': {
    what: 'with a closed stdout and stderr goes on when a hook prints',
    action: 'say',
    shell: 'exec 1>&- 2>&-',
    result: [{ said: true }, ANSWER],
  },
  'stdout-broken': {
    what: 'whose stdout is a pipe that nobody reads goes on when a hook prints',
    action: 'say',
    shell:
      'mkfifo "$SURROUND_FOLDER/pipe"; exec 3<>"$SURROUND_FOLDER/pipe" >"$SURROUND_FOLDER/pipe" 3>&-',
    stderr: /^to stderr\n$/,
    result: [{ said: true }, ANSWER],
  },
  'few-files': {
    what: 'that may open 256 files trains; a hook that opens more gets an error',
    action: 'few-files',
    needsTorch: true,
    shell: 'ulimit -n 256',
    result: [TRAINED, RAISED('OSError', /Too many open files/), ANSWER],
  },
  'one-cpu': {
    what: 'on one CPU trains, with one thread',
    action: 'train',
    needsTorch: true,
    shell: 'taskset -p -c 0 $$ > /dev/null',
    result: [{ learned: true, threads: 1 }],
  },
  'one-thread': {
    what: 'whose hook calls torch.set_num_threads(1) trains',
    action: 'one-thread',
    needsTorch: true,
    result: [{ learned: true, threads: 1 }],
  },
  'folder-gone-before': {
    what: 'whose working folder is deleted starts Python',
    action: 'folder-gone-before',
    result: { started: true },
  },
  'folder-gone-path': {
    what: 'whose working folder is deleted gets a typed error when PYTHONPATH is relative to it',
    action: 'folder-gone-before',
    env: () => ({ PYTHONPATH: '/nowhere:' }),
    result: {
      code: 'ERR_PYTHON_START',
      message: /PYTHONPATH has "", which .* deleted.*unset PYTHONPATH/,
    },
  },
  'folder-gone-after': {
    what: 'whose working folder is deleted after it has trained trains again',
    action: 'folder-gone-after',
    needsTorch: true,
    result: [TRAINED, TRAINED],
  },
  'no-compiler': {
    what: 'without a C++ compiler gets an error from torch.compile, then trains',
    action: 'no-compiler',
    needsTorch: true,
    env: ({ folder }) => ({ CXX: '/nowhere/c++', TORCHINDUCTOR_CACHE_DIR: join(folder, 'cache') }),
    result: [RAISED('torch._inductor.exc.InductorError', /compiler|nowhere/i), TRAINED],
  },
  'no-compile': {
    what: 'whose torch has no compile trains',
    action: 'no-compile',
    needsTorch: true,
    result: [{ has_compile: false, ...TRAINED }],
  },
  faulthandler: {
    what: 'with PYTHONFAULTHANDLER=1 trains',
    action: 'train',
    needsTorch: true,
    env: () => ({ PYTHONFAULTHANDLER: '1' }),
    result: [TRAINED],
  },
  'faulthandler-wasm': {
    what: 'with --disable-wasm-trap-handler and faulthandler has an error from WebAssembly that reads too far',
    action: 'faulthandler-wasm',
    env: () => ({ NODE_OPTIONS: '--disable-wasm-trap-handler' }),
    result: [{ enabled: true }, 'RuntimeError', ANSWER],
  },
  hashes: {
    what: 'has the same digests from Python and from Node.js',
    action: 'hashes',
    result: { compared: 6, differing: [], scrypt: true },
  },
  tls: {
    what: 'serves and asks by TLS in Python and in Node.js at once, each with its own OpenSSL',
    action: 'tls',
    certificate: true,
    env: ({ openssl }) => ({ TORCHBED_OPENSSL: openssl }),
    result: {
      own: 'python for python',
      other: 'node for python',
      node: 'python for node',
      version: 'TLSv1.3',
      openssl: true,
    },
  },
} satisfies Record<string, Cell>

const hooks = {
  'fork-leaves': {
    what: 'whose hook forks a child that leaves at once goes on',
    action: 'fork-leaves',
    result: [{ of: 'parent', status: 0 }, ANSWER],
  },
  'fork-works': {
    what: 'whose hook forks a child that works and leaves goes on; what the child prints is lost',
    action: 'fork-works',
    result: [{ of: 'parent', status: 3 }, ANSWER],
  },
  'fork-returns': {
    what: 'whose hook forks a child that returns has every answer once, from the parent',
    action: 'fork-returns',
    result: { of: 'parent', own: 20 },
    stderr: /^(torchbed: a child process that a hook forked returned.*\n)*$/,
  },
  'fork-stays': {
    what: 'whose hook forks a child that returns leaves no process behind',
    action: 'fork-stays',
    result: [{ of: 'parent', child: /^\d+$/ }, ANSWER],
    stderr: /^torchbed: a child process that a hook forked returned/,
  },
  spawn: {
    what: 'whose hook uses multiprocessing has its answer, from a process that is spawned',
    action: 'spawn',
    result: [{ answer: 144, code: 0, method: 'spawn' }, ANSWER],
  },
  'fork-worker': {
    what: "whose hook uses multiprocessing's fork has its answer",
    action: 'fork-worker',
    result: [{ answer: 144, code: 0, method: 'fork' }, ANSWER],
  },
  'start-processes': {
    what: 'whose hook starts processes lets them have its standard streams',
    action: 'start-processes',
    stdout: /^from a command\nfrom a spawned process\n$/,
    stderr: /^its error\n$/,
    result: [{ command: 0, process: 0 }, ANSWER],
  },
  daemonise: {
    what: 'whose hook starts a daemon goes on',
    action: 'daemonise',
    result: [{ daemon: true }, ANSWER],
  },
  'change-folder': {
    what: 'whose hook changes the working folder goes on, and opens a further workload',
    action: 'change-folder',
    result: [{ is_there: true, isStale: true, goes: /elsewhere$/ }, ANSWER],
  },
  'stdout-text': {
    what: 'whose hook puts another stream in the place of sys.stdout goes on',
    action: 'stdout-text',
    stderr: /^to stderr\n$/,
    result: [{ how: 'text' }, { said: true }, ANSWER],
  },
  'stdout-none': {
    what: 'whose hook sets sys.stdout to None goes on',
    action: 'stdout-none',
    stderr: /^to stderr\n$/,
    result: [{ how: 'none' }, { said: true }, ANSWER],
  },
  'stdout-closed': {
    what: 'whose hook closes sys.stdout gets an error from the next print, and goes on',
    action: 'stdout-closed',
    result: [{ how: 'closed' }, RAISED('ValueError', /closed file/), ANSWER],
  },
  leave: {
    what: 'whose hook calls os._exit(5) ends with 5',
    action: 'leave',
    code: 5,
    result: undefined,
  },
} satisfies Record<string, Cell>

const environments = {
  shared: {
    what: 'with a main thread and three workers that call at once has one interpreter',
    action: 'shared',
    result: { interpreters: 1, own: [50, 50, 50, 50] },
  },
  'workers-alone': {
    what: 'whose workers alone have a runtime has one interpreter, before and after they end',
    action: 'workers-alone',
    result: { interpreters: 1, own: [50, 50, 50] },
  },
  'terminate-in-call': {
    what: 'that terminates a worker in mid-call has the answer of the call behind it in 3 s',
    action: 'terminate-in-call',
    result: { call: 0, inTime: true },
  },
  'terminate-starter': {
    what: 'that terminates the worker that started Python goes on with that Python',
    action: 'terminate-starter',
    result: { interpreters: 1, own: [3, 1] },
  },
  'terminate-often': {
    what: 'that terminates twenty workers, each a little later, goes on',
    action: 'terminate-often',
    result: { call: 0 },
  },
  'terminate-in-addon': {
    what: 'that terminates ten workers in the middle of native code goes on',
    action: 'terminate-in-addon',
    result: { call: 0 },
  },
  'copy-after': {
    what: 'with a second copy of the package gets a typed error from it, and the first goes on',
    action: 'copy-after',
    copy: 'second',
    env: ({ installed }) => ({ TORCHBED_COPY: join(installed, LIBRARY) }),
    result: [{ code: 'ERR_RUNTIME_CONFLICT', message: /second copy of torchbed/ }, { call: 0 }],
  },
  'copy-at-once': {
    what: 'in which two copies start at once has one interpreter and one typed error',
    action: 'copy-at-once',
    copy: 'second',
    env: ({ installed }) => ({ TORCHBED_COPY: join(installed, LIBRARY) }),
    result: ['ERR_RUNTIME_CONFLICT', 'started'],
  },
} satisfies Record<string, Cell>

const bundles = {
  external: {
    what: 'bundled without the package, which is installed, trains and keeps an artifact',
    action: 'app',
    bundle: 'external',
    copy: 'second',
    result: { answer: 42, stored: true },
  },
  whole: {
    what: 'bundled with the package, with what belongs to it beside it, does as well',
    action: 'app',
    bundle: 'whole',
    copy: 'second',
    result: { answer: 42, stored: true },
  },
  alone: {
    what: 'bundled with the package, with nothing beside it, gets a typed error',
    action: 'app',
    bundle: 'alone',
    result: { code: 'ERR_ADDON', message: /addon/ },
  },
} satisfies Record<string, Cell>

const GROUPS = { surroundings, hooks, environments, bundles }

/** By name, such as `hooks/leave`. */
export const CELLS: ReadonlyMap<string, Cell> = new Map(
  Object.entries(GROUPS).flatMap(([group, cells]) =>
    Object.entries(cells as Record<string, Cell>).map(
      ([name, cell]) => [`${group}/${name}`, cell] as const,
    ),
  ),
)
