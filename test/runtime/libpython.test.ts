import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { locateLibpython, type LibpythonFacts } from '../../lib/runtime/python/libpython.js'
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
