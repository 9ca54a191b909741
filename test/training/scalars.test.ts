/** The numbers of a run for other tools: as CSV, and as TensorBoard reads them. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { crc32c } from '../../lib/training/crc32c.js'
import {
  CsvFile,
  scalarsOf,
  TensorBoardFile,
  type Scalar,
  type TrainingEvent,
} from '../../lib/training/index.js'

/** A Python of its own that has the package tensorboard; these tests alone need it. */
const tensorboardPython = process.env.TORCHBED_TENSORBOARD_PYTHON

const READER = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1])
events.Reload()
print(json.dumps({
    tag: [[event.wall_time, event.step, event.value] for event in events.Scalars(tag)]
    for tag in events.Tags()["scalars"]
}))
`

describe('the numbers of a run', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-scalars-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  const scalars: readonly Scalar[] = [
    { tag: 'canonical/loss', step: 0, value: 2.5, at: 1_700_000_000_250 },
    { tag: 'canonical/loss', step: 300, value: 0.125, at: 1_700_000_001_500 },
    { tag: 'peer "ä", 1/loss', step: 2 ** 40, value: -1e-3, at: 1_700_000_002_000 },
  ]

  it('are the numeric metrics of windows and of promoted heads', () => {
    const metrics = { loss: 0.5, examples: 7n, note: 'x', good: true }
    const window = { event: 'window', window: 3, contribution: { peer_id: 'p', metrics } }
    const promoted = { event: 'promoted', window: 3, promotion: { head: { metrics } } }
    const of = (event: unknown) => scalarsOf(event as TrainingEvent, 5)
    assert.deepEqual(of(window), [
      { tag: 'p/loss', step: 3, value: 0.5, at: 5 },
      { tag: 'p/examples', step: 3, value: 7, at: 5 },
    ])
    assert.deepEqual(
      of(promoted).map(({ tag }) => tag),
      ['canonical/loss', 'canonical/examples'],
    )
    assert.deepEqual(of({ event: 'waiting', for: 'head', seconds: 1 }), [])
  })

  it('are a CSV file that a later run goes on with', async () => {
    const path = join(folder, 'metrics.csv')
    await new CsvFile(path).add(scalars.slice(0, 1))
    await new CsvFile(path).add(scalars.slice(1))
    assert.equal(
      await readFile(path, 'utf8'),
      'step,time,tag,value\r\n' +
        '0,2023-11-14T22:13:20.250Z,canonical/loss,2.5\r\n' +
        '300,2023-11-14T22:13:21.500Z,canonical/loss,0.125\r\n' +
        '1099511627776,2023-11-14T22:13:22.000Z,"peer ""ä"", 1/loss",-0.001\r\n',
    )
  })

  it('have the checksum of RFC 3720', () => {
    assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
    assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43)
    assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  })

  const test = tensorboardPython === undefined ? it.skip : it
  test('are read back by TensorBoard as they were', async () => {
    const file = await TensorBoardFile.create(join(folder, 'run'))
    await file.add(scalars.slice(0, 2))
    await file.add(scalars.slice(2))
    const args = ['-c', READER, join(folder, 'run')]
    const { stdout } = await promisify(execFile)(tensorboardPython ?? '', args)
    assert.deepEqual(JSON.parse(stdout), {
      'canonical/loss': [
        [1_700_000_000.25, 0, 2.5],
        [1_700_000_001.5, 300, 0.125],
      ],
      'peer "ä", 1/loss': [[1_700_000_002, 2 ** 40, Math.fround(-1e-3)]],
    })
  })
})
