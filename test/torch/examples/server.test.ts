/** examples/server: what it serves while it trains, how it leaves, and its page in a browser. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import type { Sample } from '../../../examples/server/live.js'
import { findPython } from '../../../lib/index.js'
import { packageRoot } from '../../../lib/runtime/package-root.js'
import { readSafetensorsHeader } from '../../../lib/safetensors/index.js'
import { withTorch } from '../../support/workloads.js'

const main = fileURLToPath(new URL('../../../examples/server/main.js', import.meta.url))
const CHROMIUM = process.env.TORCHBED_CHROMIUM ?? '/usr/bin/chromium'
const hasChromium = existsSync(CHROMIUM)
/** A busy machine may need as long to import torch. */
const PATIENCE_MS = 100_000

interface Server {
  readonly url: string
  readonly child: ChildProcess
  readonly output: () => string
}

let folder: string
let python: string

/** Starts the example; with `url`, once it listens. */
function start(...args: string[]): { child: ChildProcess; output: () => string } {
  const child = spawn(process.execPath, [main, ...args], {
    cwd: folder,
    env: { ...process.env, TORCHBED_PYTHON: python },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  return { child, output: () => output }
}

async function listen(...args: string[]): Promise<Server> {
  const { child, output } = start('--port', '0', '--out', 'model.safetensors', ...args)
  const url = await until(() => {
    assert.equal(child.exitCode, null, output())
    return /^listening on (http:\S+)$/m.exec(output())?.[1]
  })
  return { url, child, output }
}

async function until<T>(look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    await sleep(50)
  }
}

async function status({ url }: Server): Promise<Sample> {
  return (await (await fetch(`${url}/status`)).json()) as Sample
}

function windows(server: Server, count: number): Promise<Sample> {
  return until(async () => {
    const sample = await status(server)
    assert.equal(sample.training.error, null)
    return sample.training.window >= count ? sample : undefined
  })
}

/** The first events of the stream, by name. */
async function events({ url }: Server, count: number): Promise<Map<string, unknown[]>> {
  const response = await fetch(`${url}/events`)
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  const found = new Map<string, unknown[]>()
  let text = ''
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    text += piece
    const whole = text.split('\n\n')
    if (whole.length <= count) continue
    for (const one of whole.slice(0, -1)) {
      const [, name, data] = /^event: (\w+)\ndata: (.+)$/.exec(one)!
      found.set(name!, [...(found.get(name!) ?? []), JSON.parse(data!)])
    }
    break
  }
  return found
}

/** Sends the signal and says how the server left, and after how long. */
async function end({ child, output }: Server, signal: NodeJS.Signals) {
  const began = performance.now()
  child.kill(signal)
  const [code, by] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  return { code, by, seconds: (performance.now() - began) / 1000, output: output() }
}

describe('examples/server', function () {
  this.timeout(PATIENCE_MS)
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-server-'))
    python = (await findPython()).executable
  })
  after(() => rm(folder, { recursive: true }))

  it('says how it is used, and refuses a port that is none with exit code 2', async () => {
    const help = start('--help')
    assert.deepEqual(await once(help.child, 'close'), [0, null])
    assert.match(help.output(), /--port <number>.*\n.*--host/)
    const bad = start('--port', '65536')
    assert.deepEqual(await once(bad.child, 'close'), [2, null])
    assert.match(bad.output(), /65536.*Expected a whole number from 0 to 65535/)
  })

  it('says which port is taken, with exit code 1', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const { child, output } = start('--port', String(port))
    assert.deepEqual(await once(child, 'close'), [1, null])
    assert.match(output(), new RegExp(`Cannot listen on 127.0.0.1:${port}.*choose another --port`))
    other.close()
  })

  describe(withTorch ? 'while it trains' : 'while it trains (skipped: no torch)', () => {
    let server: Server
    before(async function () {
      if (!withTorch) this.skip()
      server = await listen()
    })
    after(() => server.child.kill('SIGKILL'))

    it('answers at once, before the first window is done too', async () => {
      const { runtime, training } = await status(server)
      assert.ok(['starting', 'waiting', 'training'].includes(training.phase))
      assert.match(runtime.python.version ?? '', /^3\.\d+/)
    })

    it('shows windows, loss and the running call in /status', async () => {
      const { training, loop } = await windows(server, 2)
      assert.equal(training.phase, 'training')
      assert.ok(training.last!.loss > 0 && training.last!.loss < 1, String(training.last!.loss))
      assert.ok(loop!.delayP99Ms >= 0 && loop!.latencyMaxMs! > 0)
      const running = await until(async () => (await status(server)).runtime.running ?? undefined)
      assert.match(running.method, /^(train_window|evaluate)$/)
    })

    it('gives the same to Prometheus', async () => {
      const response = await fetch(`${server.url}/metrics`)
      assert.match(response.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/)
      const text = await response.text()
      const value = (name: string) =>
        Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? NaN)
      assert.ok(value('training_windows_total') >= 2)
      assert.ok(value('training_loss') > 0 && value('training_loss') < 1)
      assert.ok(value('torchbed_call_duration_seconds_count{method="train_window"}') >= 2)
      assert.equal(value('torchbed_models'), 1)
      assert.equal(value('torchbed_lent_bytes'), 0)
      assert.ok(value('nodejs_eventloop_lag_p99_seconds') > 0)
      assert.ok(value('process_resident_memory_bytes') > 1e8)
      assert.match(text, /^torchbed_call_age_seconds\{method="\w+"\} [\d.e-]+$/m)
    })

    it('tells those who listen all that was, then what comes', async () => {
      const byName = await events(server, 5)
      const [history] = byName.get('history') as { windows: unknown[]; samples: unknown[] }[]
      assert.ok(history!.windows.length >= 2 && history!.samples.length >= 1)
      assert.ok((byName.get('sample') ?? byName.get('window'))!.length >= 1)
    })

    const title = 'draws its curves in a browser, at 400 px and in the dark too'
    it(hasChromium ? title : `${title} (skipped: no ${CHROMIUM})`, async function () {
      if (!hasChromium) this.skip()
      const shots = join(packageRoot(), 'out', 'test-artifacts')
      await mkdir(shots, { recursive: true })
      const profile = join(folder, 'profile')
      const args =
        '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run ' +
        '--disable-background-networking --disable-component-update --disable-sync'
      const browser = await chromium.launchPersistentContext(profile, {
        executablePath: CHROMIUM,
        args: args.split(' '),
        viewport: { width: 1200, height: 700 },
      })
      try {
        const page = await browser.newPage()
        const complaints: string[] = []
        page.on('console', (message) => complaints.push(message.text()))
        page.on('pageerror', (error) => complaints.push(error.message))
        page.on('request', (request) => {
          const { origin, protocol } = new URL(request.url())
          if (protocol !== 'data:' && origin !== server.url) complaints.push(request.url())
        })
        await page.goto(server.url)
        const text = async (selector: string) => (await page.textContent(selector)) ?? ''
        await until(async () => ((await text('#phase')) === 'training' ? true : undefined))
        const before = Number.parseInt(await text('#window'))
        await until(async () =>
          Number.parseInt(await text('#window')) > before ? true : undefined,
        )
        for (const chart of ['#loss-chart', '#loop-chart']) {
          const paths = `[...document.querySelectorAll('${chart} path')]`
          const lines: string[] = await page.evaluate(
            `${paths}.map((path) => path.getAttribute('d'))`,
          )
          assert.equal(lines.length, 2)
          for (const line of lines) {
            assert.match(line, /^M[\d.]+,[\d.]+(L[\d.]+,[\d.]+)+$/)
          }
        }
        assert.match(await text('#loss'), /^0\.\d+$/)
        assert.match(await text('#delay'), /^[\d.]+ ms$/)
        await page.screenshot({ path: join(shots, 'server.png') })
        await page.emulateMedia({ colorScheme: 'dark' })
        await page.setViewportSize({ width: 400, height: 1060 })
        await page.screenshot({ path: join(shots, 'server-400-dark.png') })
        const wide = await page.evaluate('document.documentElement.scrollWidth')
        assert.equal(wide, 400)
        const colour = await page.evaluate('getComputedStyle(document.body).backgroundColor')
        assert.equal(colour, 'rgb(15, 18, 24)')
        assert.deepEqual(complaints, [])
      } finally {
        await browser.close()
      }
    })

    it('stops at SIGTERM in the middle of a window, saves, and leaves with 143', async () => {
      // A listener does not hold it up.
      const listener = await fetch(`${server.url}/events`)
      const { code, by, seconds, output } = await end(server, 'SIGTERM')
      assert.deepEqual([code, by], [143, null], output)
      assert.ok(seconds < 2.5, `${seconds} s`)
      assert.match(output, /^training stopped after \d+ windows; saved model\.safetensors$/m)
      const header = await readSafetensorsHeader(join(folder, 'model.safetensors'))
      assert.ok(header.tensors.length > 0)
      await listener.text().catch(() => undefined)
    })
  })

  it('stops at Ctrl-C while torch is still imported, and leaves with 130', async () => {
    const server = await listen('--out', 'early.safetensors')
    const { code, by, output } = await end(server, 'SIGINT')
    assert.deepEqual([code, by], [130, null], output)
    // It says that it saved when it did.
    assert.equal(output.includes('saved'), existsSync(join(folder, 'early.safetensors')), output)
  })
})
