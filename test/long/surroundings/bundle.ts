/** A small application, bundled by esbuild in the ways that docs/internals/reliability.md describes. */
import { execFile } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { packageRoot } from '../../../lib/runtime/package-root.js'
import type { Cell } from './cells.js'
import { copyParts } from './copy.js'

const run = promisify(execFile)

/** Calls Python, and stores an artifact that is large enough for the store's own thread. */
const APP = `
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EmbeddedRuntime } from 'torchbed'
import { FsArtifactStore } from 'torchbed/store'

const folder = process.argv[3]
let result
try {
  const runtime = await EmbeddedRuntime.start()
  const session = await runtime.openWorkload({
    factory: 'surrounded:create_workload',
    moduleSearchRoots: [process.env.TORCHBED_WORKLOADS],
  })
  await session.call('init_model', { device: 'cpu' })
  const batches = [{ payload: { act: 'plain' } }]
  const { metrics } = await session.call('train_window', { model_id: 'm1', batches })
  const store = new FsArtifactStore(join(folder, 'store'))
  const spec = {
    kind: 'ServeHead', head_id: 'head-1', precision: 'Fp32', model_schema_hash: 'app',
    record_format: 'burn-store:safetensors',
  }
  const bytes = new Uint8Array(5 << 20).fill(7)
  const descriptor = await store.storeArtifactBytes(spec, bytes)
  const read = await store.materializeArtifactBytes(descriptor)
  result = { answer: Number(metrics.answer), stored: Buffer.compare(read, bytes) === 0 }
} catch (error) {
  result = { code: error.code, message: error.message }
}
writeFileSync(join(folder, 'result.json'), JSON.stringify(result))
`

/** Writes and bundles the application below a folder; the path of the program. */
export async function bundleApp(
  how: NonNullable<Cell['bundle']>,
  folder: string,
  esbuild: string | undefined,
): Promise<string> {
  if (esbuild === undefined) throw new Error('the cells of "bundles" need the path of esbuild')
  const app = join(folder, 'app')
  const out = join(app, 'out')
  await mkdir(out, { recursive: true })
  await writeFile(join(app, 'app.mjs'), APP)
  await writeFile(join(app, 'package.json'), '{ "name": "app", "private": true }\n')
  const library = join(packageRoot(), 'dist', 'lib')
  const usual = ['--bundle', '--platform=node', '--format=esm', '--log-level=error']
  const bundle = (source: string, target: string, ...options: string[]) =>
    run(esbuild, [source, ...usual, `--outfile=${join(out, target)}`, ...options])
  if (how === 'external') {
    await bundle(join(app, 'app.mjs'), 'app.mjs', '--external:torchbed')
    return join(out, 'app.mjs')
  }
  await bundle(join(app, 'app.mjs'), 'app.mjs', `--alias:torchbed=${join(library, 'index.js')}`)
  if (how === 'whole') {
    await bundle(join(library, 'store', 'store-worker.js'), 'store-worker.js')
    await copyParts(['python/torchbed', 'build/Release'], app)
    const modules = join(app, 'node_modules')
    await mkdir(modules)
    const finder = join(packageRoot(), 'node_modules', 'node-gyp-build')
    await symlink(finder, join(modules, 'node-gyp-build'), 'dir')
    await writeFile(join(app, 'package.json'), '{ "name": "app", "type": "module" }\n')
  }
  return join(out, 'app.mjs')
}
