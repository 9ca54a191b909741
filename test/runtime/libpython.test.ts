import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  libpythonCandidates,
  locateLibpython,
  type LibpythonFacts,
} from '../../lib/runtime/python/libpython.js'
import { Folder } from './interpreters.js'

describe('locating the shared libpython', () => {
  let folder: Folder

  beforeEach(async () => {
    folder = await Folder.create()
  })
  afterEach(() => folder.remove())

  /** The answer of a Python 3.12 that was built to be installed in the test's folder. */
  function facts(changes: { mapped?: string[]; config?: Partial<LibpythonFacts['config']> } = {}) {
    return {
      versionInfo: [3, 12, 1],
      prefix: folder.path,
      basePrefix: folder.path,
      mapped: changes.mapped ?? [],
      config: {
        INSTSONAME: 'libpython3.12.so.1.0',
        LDLIBRARY: 'libpython3.12.so',
        LIBDIR: join(folder.path, 'libdir'),
        LIBPL: join(folder.path, 'config-3.12'),
        MULTIARCH: 'x86_64-linux-gnu',
        PYTHONFRAMEWORKPREFIX: '',
        ...changes.config,
      },
    } satisfies LibpythonFacts
  }

  async function put(...parts: string[]): Promise<string> {
    const path = join(folder.path, ...parts)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, '')
    return path
  }

  const places = [
    ['libdir', 'libpython3.12.so.1.0'],
    ['libdir', 'libpython3.12.so'],
    ['libdir', 'x86_64-linux-gnu', 'libpython3.12.so.1.0'],
    ['lib', 'libpython3.12.so.1.0'],
    ['config-3.12', 'libpython3.12.so'],
  ]
  for (const place of places) {
    it(`finds it in ${place.join('/')}`, async () => {
      const path = await put(...place)
      assert.equal(await locateLibpython(facts()), path)
    })
  }

  it('finds the library inside a macOS framework', async () => {
    const library = 'Python.framework/Versions/3.12/Python'
    const path = await put('Frameworks', library)
    const config = {
      INSTSONAME: library,
      LDLIBRARY: library,
      PYTHONFRAMEWORKPREFIX: join(folder.path, 'Frameworks'),
    }
    assert.equal(await locateLibpython(facts({ config })), path)
  })

  it('finds a library whose name the build does not give', async function () {
    if (process.platform !== 'linux') return this.skip()
    await put('lib', 'libpython3.12.a')
    const path = await put('lib', 'libpython3.12.so.1.0')
    const config = { INSTSONAME: 'libpython3.12.a', LDLIBRARY: 'libpython3.12.a', LIBDIR: null }
    assert.equal(await locateLibpython(facts({ config })), path)
  })

  it('prefers what the running interpreter has loaded', async () => {
    await put('libdir', 'libpython3.12.so.1.0')
    const loaded = await put('elsewhere', 'libpython3.12.so.1.0')
    assert.equal(await locateLibpython(facts({ mapped: [loaded] })), loaded)
  })

  it('passes over a loaded library of another version, and one that was deleted', async () => {
    const other = await put('elsewhere', 'libpython3.11.so.1.0')
    const stable = await put('elsewhere', 'libpython3.so')
    const deleted = join(folder.path, 'gone', 'libpython3.12.so.1.0')
    assert.equal(await locateLibpython(facts({ mapped: [other, stable, deleted] })), null)
  })

  it('answers null when there is only a static library', async () => {
    await put('libdir', 'libpython3.12.a')
    const config = { INSTSONAME: 'libpython3.12.a', LDLIBRARY: 'libpython3.12.a' }
    assert.equal(await locateLibpython(facts({ config })), null)
  })

  it('never looks in a folder that the build names by a relative path', async () => {
    const config = { LIBDIR: 'lib', LIBPL: '.', PYTHONFRAMEWORKPREFIX: '' }
    assert.equal(await locateLibpython(facts({ config })), null)
  })
})

/** Facts of installations as their makers lay them out, none of which is on this machine. */
describe('the places of libpython on other systems', () => {
  const NOTHING = {
    INSTSONAME: null,
    LDLIBRARY: null,
    LIBDIR: null,
    LIBPL: null,
    MULTIARCH: null,
    PYTHONFRAMEWORKPREFIX: null,
  }

  function installed(
    prefix: string,
    config: Partial<LibpythonFacts['config']> = {},
    basePrefix = prefix,
  ): LibpythonFacts {
    return {
      versionInfo: [3, 12, 1],
      prefix,
      basePrefix,
      mapped: [],
      config: { ...NOTHING, ...config },
    }
  }

  /** Answers as a file system that has these files and no other. */
  function having(...files: string[]) {
    return (path: string) => Promise.resolve(files.includes(path))
  }

  const framework = {
    INSTSONAME: 'Python.framework/Versions/3.12/Python',
    LDLIBRARY: 'Python.framework/Versions/3.12/Python',
  }
  const mac: [string, LibpythonFacts, string][] = [
    [
      'python.org',
      installed('/Library/Frameworks/Python.framework/Versions/3.12', {
        ...framework,
        PYTHONFRAMEWORKPREFIX: '/Library/Frameworks',
        LIBDIR: '/Library/Frameworks/Python.framework/Versions/3.12/lib',
      }),
      '/Library/Frameworks/Python.framework/Versions/3.12/Python',
    ],
    [
      'Homebrew, from a virtual environment',
      installed(
        '/Users/one/project/.venv',
        { ...framework, PYTHONFRAMEWORKPREFIX: '/opt/homebrew/opt/python@3.12/Frameworks' },
        '/opt/homebrew/opt/python@3.12/Frameworks/Python.framework/Versions/3.12',
      ),
      '/opt/homebrew/opt/python@3.12/Frameworks/Python.framework/Versions/3.12/Python',
    ],
    [
      'a framework that was moved',
      installed('/Users/one/Python.framework/Versions/3.12', {
        ...framework,
        PYTHONFRAMEWORKPREFIX: '/Library/Frameworks',
      }),
      '/Users/one/Python.framework/Versions/3.12/Python',
    ],
    [
      'uv, whose build was installed elsewhere',
      installed('/Users/one/.local/share/uv/python/cpython-3.12.1-macos-aarch64-none', {
        INSTSONAME: 'libpython3.12.dylib',
        LDLIBRARY: 'libpython3.12.dylib',
        LIBDIR: '/install/lib',
      }),
      '/Users/one/.local/share/uv/python/cpython-3.12.1-macos-aarch64-none/lib/libpython3.12.dylib',
    ],
    [
      'pyenv with --enable-shared',
      installed('/Users/one/.pyenv/versions/3.12.1', {
        INSTSONAME: 'libpython3.12.dylib',
        LDLIBRARY: 'libpython3.12.dylib',
        LIBDIR: '/Users/one/.pyenv/versions/3.12.1/lib',
      }),
      '/Users/one/.pyenv/versions/3.12.1/lib/libpython3.12.dylib',
    ],
    [
      'conda, whose own interpreter is linked statically',
      installed('/opt/conda', {
        INSTSONAME: 'libpython3.12.a',
        LDLIBRARY: 'libpython3.12.a',
        LIBDIR: '/opt/conda/lib',
      }),
      '/opt/conda/lib/libpython3.12.dylib',
    ],
  ]
  for (const [what, facts, library] of mac) {
    it(`are looked at on macOS: ${what}`, async () => {
      assert.equal(await locateLibpython(facts, 'darwin', having(library)), library)
    })
  }

  it('prefer the library of a framework to the names that lead to it', () => {
    const prefix = '/Library/Frameworks/Python.framework/Versions/3.12'
    const config = { ...framework, LIBDIR: `${prefix}/lib` }
    const [first] = libpythonCandidates(installed(prefix, config), 'darwin')
    assert.equal(first, `${prefix}/Python`)
  })

  const windows: [string, LibpythonFacts, string][] = [
    [
      'python.org',
      installed('C:\\Users\\one\\AppData\\Local\\Programs\\Python\\Python312'),
      'C:\\Users\\one\\AppData\\Local\\Programs\\Python\\Python312',
    ],
    [
      'a virtual environment',
      installed('D:\\project\\.venv', { LIBDIR: 'C:\\Python312\\libs' }, 'C:\\Python312'),
      'C:\\Python312',
    ],
    [
      'a virtual environment made of copies',
      installed('D:\\project\\.venv', {}, 'C:\\gone'),
      'D:\\project\\.venv\\Scripts',
    ],
    [
      'conda',
      installed('C:\\ProgramData\\miniconda3\\envs\\one'),
      'C:\\ProgramData\\miniconda3\\envs\\one',
    ],
    [
      'uv',
      installed('C:\\Users\\one\\AppData\\Roaming\\uv\\python\\cpython-3.12.1-windows-x86_64-none'),
      'C:\\Users\\one\\AppData\\Roaming\\uv\\python\\cpython-3.12.1-windows-x86_64-none',
    ],
  ]
  for (const [what, facts, folder] of windows) {
    it(`are looked at on Windows: ${what}`, async () => {
      const library = `${folder}\\python312.dll`
      const files = having(library, `${folder}\\python3.dll`)
      assert.equal(await locateLibpython(facts, 'win32', files), library)
    })
  }

  it('pass over a library on Windows without the python3.dll that the addon needs', async () => {
    const facts = installed('C:\\Python312')
    assert.equal(
      await locateLibpython(facts, 'win32', having('C:\\Python312\\python312.dll')),
      null,
    )
  })

  it('are absolute on every system, whatever the build says', () => {
    for (const platform of ['linux', 'darwin', 'win32'] as const) {
      const facts = installed('relative', {
        LIBDIR: 'lib',
        LIBPL: '.',
        LDLIBRARY: 'libpython3.12.so',
      })
      assert.deepEqual(libpythonCandidates(facts, platform), [])
    }
  })
})
