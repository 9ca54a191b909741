import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { ShardCache } from '../../lib/data/index.js'
import { isTempFileName } from '../../lib/files/atomic-write.js'
import { contentId, type ShardFetchEntry } from '../../lib/schema/index.js'
import { runScript } from '../store/support.js'
import { sweepElsewhere } from '../long/crash/faults.js'
import { unsafeIn } from '../long/crash/log.js'
import { faultEnvironment, FaultFile, faultLibrary } from '../long/faults.js'
import { withSmallDisk } from '../support/small-disk.js'
import { Dataset } from './support/dataset.js'

const library = faultLibrary()
const faultIt = library === undefined ? it.skip : it
const posixIt = process.platform === 'win32' ? it.skip : it
const MODULE = fileURLToPath(new URL('../../lib/data/index.js', import.meta.url))

/** Shard 1 is large. */
const LARGE = Buffer.alloc(3_000_000, 'large')

describe('the shard cache, when the system refuses,', () => {
  let dataset: Dataset
  let entries: ShardFetchEntry[]
  beforeEach(async () => {
    dataset = await Dataset.make()
    await dataset.put(dataset.entry(1).locator, LARGE)
    const large = { content_hash: contentId(LARGE), bytes_len: LARGE.length }
    entries = dataset.manifest.entries.map((entry, i) => (i === 1 ? { ...entry, ...large } : entry))
    await dataset.publish(entries)
  })
  afterEach(() => dataset.remove())

  const refused = (cause: string) => (error: NodeJS.ErrnoException) => {
    assert.equal(error.code, 'ERR_DATA_IO')
    assert.equal((error.cause as NodeJS.ErrnoException).code, cause)
    assert.match(error.message, /^Cannot write ".*00001\.bin": /)
    return true
  }
  const filesOf = async (cache: ShardCache) => (await readdir(cache.datasetDir('view-1'))).sort()

  faultIt(
    'at any one call (needs cc) fails with a typed error, keeps what it had, leaves nothing, and can try again',
    async () => {
      const { hit, problems } = await sweepElsewhere('cache')
      assert.deepEqual(problems, [])
      assert.equal(Object.keys(hit).length, 4)
      for (const [name, count] of Object.entries(hit)) assert.ok(count >= 3, `${name}: ${count}`)
    },
  )

  it('on a full disk (needs mount) keeps what it had, and fetches again when there is room', async function () {
    const isMounted = await withSmallDisk(join(dataset.folder, 'disk'), '2m', async (disk) => {
      const cache = new ShardCache(disk)
      await dataset.fetch([0], { cache })
      await assert.rejects(dataset.fetch([1], { cache }), refused('ENOSPC'))
      assert.deepEqual(await filesOf(cache), ['00000.bin', 'fetch-manifest.json'])
      const [cached] = await dataset.fetch([0], { cache })
      assert.equal(await readFile(cached!.path, 'utf8'), 'shard 0')
      await dataset.fetch([2], { cache })
    })
    if (!isMounted) this.skip()
  })

  const script = () => `
    const cache = new ShardCache(${JSON.stringify(dataset.cacheRoot)})
    const registration = ${JSON.stringify(dataset.registration({ Local: { root: dataset.source } }))}
    const plan = ${JSON.stringify(dataset.plan)}
    const fetch = (...microshards) =>
      cache.fetchLeaseMicroshards(registration, plan, { dataset_view_id: 'view-1', microshards })
    const tell = ({ code, cause, message }) => console.log(code, cause?.code, message)
    const [kept, large] = ${JSON.stringify([dataset.id(0), dataset.id(1)])}
    await fetch(kept)`

  faultIt('has on the disk what was fetched when the machine crashes (needs cc)', async () => {
    const orders = join(dataset.folder, 'orders')
    const log = join(dataset.folder, 'log')
    FaultFile.make(orders)
    await runScript(
      `import { ShardCache } from ${JSON.stringify(MODULE)}
      ${script()}
      await fetch(kept, large)`,
      undefined,
      faultEnvironment(library!, dataset.cacheRoot, orders, log),
    )
    const text = await readFile(log, 'utf8')
    assert.deepEqual(unsafeIn(text), [])
    assert.equal(text.split('\n').filter((line) => line.startsWith('rename')).length, 3)
  })

  posixIt('at a limit for the size of files keeps what it had', async () => {
    const output = await runScript(
      `import { ShardCache } from ${JSON.stringify(MODULE)}
      ${script()}
      await fetch(large).catch(tell)
      console.log((await fetch(kept)).length)`,
      'ulimit -f 200',
    )
    assert.match(output, /^ERR_DATA_IO EFBIG Cannot write ".*00001\.bin".*\n1\n$/)
    assert.deepEqual((await filesOf(dataset.cache())).filter(isTempFileName), [])
    const [cached] = await dataset.fetch([1])
    assert.ok(LARGE.equals(await readFile(cached!.path)))
  })

  posixIt('by the permissions of its folder still serves, and fetches once it may', async () => {
    await dataset.fetch([0])
    const folder = dataset.cache().datasetDir('view-1')
    await mkdir(folder, { recursive: true })
    await chmod(dataset.folder, 0o755)
    await chmod(folder, 0o555)
    // Root may write everywhere, so that another user tries; what it needs was loaded before.
    const output = await runScript(
      `import { ShardCache } from ${JSON.stringify(MODULE)}
      ${script()}
      if (process.getuid() === 0) process.setuid(65534)
      await fetch(large).catch(tell)
      await cache.evictExcept('view-1', []).catch(tell)
      console.log((await fetch(kept)).length)`,
    )
    const pattern =
      /^ERR_DATA_IO EACCES Cannot write ".*00001\.bin".*\nERR_DATA_IO EACCES Cannot clean up .*\n1\n$/
    assert.match(output, pattern)
    await chmod(folder, 0o755)
    const [cached] = await dataset.fetch([1])
    assert.ok(LARGE.equals(await readFile(cached!.path)))
    assert.deepEqual((await filesOf(dataset.cache())).filter(isTempFileName), [])
  })
})
