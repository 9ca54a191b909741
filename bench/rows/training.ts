/** Training in Node.js against the very same training in plain Python. */

import { join } from 'node:path'
import { EmbeddedRuntime, type PyInput } from '../../lib/index.js'
import { packageRoot } from '../../lib/runtime/package-root.js'
import { bytesGptExample, digitsExample, type ExampleWorkload } from '../examples.js'
import { startLineChild, type LineChild } from '../line-child.js'
import { interleaved } from '../measure.js'
import { openProject } from '../project.js'
import { measured, type Effort, type Group, type Row, type RowSpec } from '../row.js'

const DIGITS: RowSpec = {
  id: 'train-digits',
  title: 'training steps a second of the digits MLP, embedded / plain Python',
  better: 'at least',
  limit: 0.98,
  needs: ['torch'],
}
const GPT: RowSpec = {
  id: 'train-gpt',
  title: 'training steps a second of the 25 M byte GPT, embedded / plain Python',
  better: 'at least',
  limit: 0.98,
  needs: ['torch'],
}

/** Minibatches of 32 in the 1,437 images of the digits. */
const DIGITS_STEPS_PER_EPOCH = 45

export const training: Group = {
  name: 'training',
  rows: [DIGITS, GPT],
  async *run(effort) {
    await using runtime = await EmbeddedRuntime.start()
    const python = runtime.python.executable
    if (effort.wants(DIGITS.id)) {
      effort.begin(DIGITS.id)
      const epochs = effort.quick ? 4 : 30
      const example = await digitsExample(python, { threads: 1, epochs_per_window: epochs })
      const rounds = effort.quick ? 3 : 15
      yield await compare(runtime, DIGITS, example, epochs * DIGITS_STEPS_PER_EPOCH, rounds)
    }
    if (effort.wants(GPT.id)) {
      effort.begin(GPT.id)
      const { config, steps } = gptWindow(effort)
      const example = await bytesGptExample(python, config)
      yield await compare(runtime, GPT, example, steps, effort.quick ? 1 : 9)
    }
  },
}

/** Sequences of 256 bytes, one in a step: a step of eight takes a core some seconds. */
function gptWindow({ quick }: Effort): { config: PyInput; steps: number } {
  const steps = quick ? 1 : 4
  return { config: { preset: '25m', threads: 1, minibatch: 1, steps_per_window: steps }, steps }
}

/**
 * Windows in turns; while one side trains, the other waits for its turn without a thread at work. The
 * embedded time has the call in it, from JavaScript and back; the plain one is the hook's alone.
 */
async function compare(
  runtime: EmbeddedRuntime,
  spec: RowSpec,
  example: ExampleWorkload,
  steps: number,
  rounds: number,
): Promise<Row> {
  await using project = await openProject(runtime, example.workload)
  const model = await project.initModel()
  await using plain = await startPlainTraining(runtime.python.executable, example)
  const took = await interleaved(
    {
      embedded: () => project.trainWindow({ model, batches: example.batches }),
      plain: () => plain.measure(),
    },
    rounds,
  )
  const perSecond = (milliseconds: number) => (steps * 1000) / milliseconds
  return measured(
    spec,
    took.plain / took.embedded,
    {
      embedded_steps_per_s: perSecond(took.embedded),
      plain_steps_per_s: perSecond(took.plain),
      embedded_window_ms: took.embedded,
      plain_window_ms: took.plain,
    },
    { rounds, steps_per_window: steps, threads: 1 },
  )
}

/** One long-lived plain Python (bench/plain/plain_training.py), which trains a window when told to. */
async function startPlainTraining(
  python: string,
  { workload, batches }: ExampleWorkload,
): Promise<LineChild> {
  const script = join(packageRoot(), 'bench', 'plain', 'plain_training.py')
  const { factory, config = null, moduleSearchRoots: [folder = '.'] = [] } = workload
  const args = [factory, folder, JSON.stringify(config), JSON.stringify(batches)]
  return startLineChild(python, [script, ...args])
}
