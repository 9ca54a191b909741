/** Gets this thread into a state of the exit matrix (cells.ts). */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import {
  EmbeddedRuntime,
  findPython,
  LentBuffer,
  TorchProject,
  type PyInput,
  type WorkloadSpec,
} from '../../../lib/index.js'
import { FsArtifactStore } from '../../../lib/store/index.js'
import { loadBridge } from '../../../lib/runtime/embedded/addon.js'
import { packageRoot } from '../../../lib/runtime/package-root.js'
import { STATES, WAYS, type Cell, type StateName } from './cells.js'

/** A state that was reached. */
export interface Entered {
  /** What is still being done. */
  readonly work: Promise<unknown>
  readonly close: () => Promise<void>
}

/** How long Python works when the process is to wait for the end of that. */
const SHORT_SECONDS = 1.5

/**
 * How long it works otherwise: much longer than the process may take to leave, as the length of a C call is
 * estimated, and a busy machine puts that out by a factor.
 */
const LONG_SECONDS = 12

const LENT_BYTES = 64 << 20

/** `folder` is one for the state's files alone. */
export async function enter({ state, way }: Cell, folder: string): Promise<Entered> {
  if (state === 'finding' || state === 'starting') return enterStart(state)
  const runtime = await EmbeddedRuntime.start()
  const config = { state, seconds: WAYS[way].finishes ? SHORT_SECONDS : LONG_SECONDS }
  const spec = {
    factory: 'leaving:create_workload',
    config,
    moduleSearchRoots: [join(packageRoot(), 'test', 'long')],
  }
  return state === 'publishing'
    ? enterPublishing(runtime, spec, folder)
    : enterCall(runtime, spec, state)
}

async function enterStart(state: 'finding' | 'starting'): Promise<Entered> {
  // What the probe answered is kept: the runtime will not ask again.
  const python = state === 'starting' ? await findPython() : undefined
  const starting = EmbeddedRuntime.start()
  await turn()
  if (python !== undefined) {
    const ignore = () => undefined
    const bridge = loadBridge(python.libpython, ignore, ignore)
    while (bridge.status().state === 'absent') await turn()
  }
  return { work: starting, close: () => starting.then((runtime) => runtime.close()) }
}

/** The workload says when it has begun. */
async function enterCall(
  runtime: EmbeddedRuntime,
  spec: WorkloadSpec,
  state: StateName,
): Promise<Entered> {
  const begun = new Promise<void>((resolve) => {
    runtime.on('stdout', (line) => {
      if (line === 'READY') resolve()
    })
  })
  const close = () => runtime.close()
  const opening = runtime.openWorkload(spec)
  if (state === 'importing') {
    await begun
    return { work: opening, close: () => opening.then(close) }
  }
  const session = await opening
  await session.call('init_model', { device: 'cpu' })
  const payload: PyInput = state === 'lent' ? LentBuffer.allocate(LENT_BYTES) : null
  const work = session.call('train_window', { model_id: 'm1', batches: [{ payload }] })
  await (STATES[state].busy ? begun : work)
  return { work, close }
}

/** Reached when the store has a first file. Done when the artifact is there and every hash fits. */
async function enterPublishing(
  runtime: EmbeddedRuntime,
  spec: WorkloadSpec,
  folder: string,
): Promise<Entered> {
  const config = {
    runtime: {
      workload_factory: spec.factory,
      workload_config: spec.config ?? null,
      module_search_roots: [...(spec.moduleSearchRoots ?? [])],
    },
    model_schema_hash: 'leaving',
  }
  const project = await TorchProject.open(config, { runtime })
  const model = await project.initModel()
  const path = join(folder, 'store')
  const store = new FsArtifactStore(path)
  const publish = async () => {
    const artifact = { kind: 'FullHead', head_id: 'head-1' } as const
    const descriptor = await project.materializeModelArtifact(model, artifact, store)
    await store.materializeArtifactBytes(descriptor)
  }
  const work = publish()
  while (!holdsFile(path)) await delay(1)
  return { work, close: () => runtime.close() }
}

function holdsFile(folder: string): boolean {
  try {
    const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
    return entries.some((entry) => entry.isFile())
  } catch {
    return false
  }
}
