/** The lines around blocks that show only a part of a program. */
import { join } from 'node:path'
import { workloadRoot } from '../../support/workloads.js'
import { root } from './blocks.js'

export interface Setup {
  readonly before: string
  readonly after: string
  /** Columns that the block is moved to the right. */
  readonly indent?: number
  readonly needsTorch?: boolean
}

const plain = `
  runtime: {
    workload_factory: 'plain:Plain',
    module_search_roots: [${JSON.stringify(workloadRoot)}, '.'],
  },`

/** A batch in which the workload runs a Python statement. */
const doing = (statement: string) => `{
  kind: 'micro_epoch' as const,
  lease_id: 'lease-1',
  microshard_ids: [],
  ordinals: [],
  bytes_len: 0,
  pipeline_kind: 'generated-dataset' as const,
  payload: { do: ${JSON.stringify(statement)} },
}`

const project = (statement: string) => `
import * as assert from 'node:assert/strict'
import * as torchbed_ from 'torchbed'
const project = await torchbed_.TorchProject.open({${plain}})
const model = await project.initModel()
const batches = [${doing(statement)}]
const controller = new AbortController()
const signal = controller.signal
`

/** A third-party worker under the name that the document gives it. */
const referenceWorker = `
const worker = 'burn_p2p_python_runtime'
mkdirSync(worker, { recursive: true })
writeFileSync(worker + '/worker.py', 'import runpy\\nrunpy.run_module("reference_worker", run_name="__main__")\\n')
`

export const SETUPS: Readonly<Record<string, Setup>> = {
  /** An open project, a model, one batch of work, and a signal. */
  project: { before: project('pass'), after: 'await project.close()\n' },

  /** A window that goes on until it is stopped, and is stopped. */
  aborting: {
    before: `${project('while True: time.sleep(0.01)')}
setTimeout(() => controller.abort(), 100)
`,
    after: 'assert.ok(signal.aborted)\nawait project.close()\n',
  },

  /** A window that tells its progress ten times. */
  progress: {
    before: project(
      'import torchbed\nfor step in range(10): torchbed.progress(step + 1, 10, loss=0.5)',
    ),
    after: 'assert.equal(report.stats.steps, 1n)\nawait project.close()\n',
  },

  /** A config to open, and the project that the block opened of it. */
  opening: {
    before: `
import * as torchbed_ from 'torchbed'
import { SubprocessRuntime, TorchProject } from 'torchbed'
const config: torchbed_.TorchWorkloadConfig = {${plain}}
`,
    after: 'await project.close()\n',
  },

  /** The same with a runtime. */
  sharing: {
    before: `
import * as torchbed_ from 'torchbed'
import { SubprocessRuntime, TorchProject } from 'torchbed'
const config: torchbed_.TorchWorkloadConfig = {${plain}}
`,
    after: 'await first.close()\nawait runtime.close()\n',
  },

  /** A peer of a network of its own. */
  announcing: {
    before: `
import { createNode } from 'torchbed/p2p'
const node = await createNode({ folder: 'peer', network: 'alone', experiments: [], roles: ['Viewer'] })
`,
    after: 'await node.stop()\n',
  },

  /** A member of a network that another one joins. */
  inviting: {
    before: `
import { join } from 'node:path'
import { createNode } from 'torchbed/p2p'
const folder = 'members'
const network = 'digits'
const experiments: { study_id: string; experiment_id: string }[] = []
const addresses: string[] = []
`,
    after: 'await trainer.stop()\n',
  },

  /** What a service of a node of one's own is made of. */
  serving: {
    before: `
import * as assert from 'node:assert/strict'
import { gossipsub } from '@libp2p/gossipsub'
import { gossipOptions, training } from 'torchbed/p2p'
import { FsArtifactStore } from 'torchbed/store'
const experiments = [{ study_id: 'digits', experiment_id: 'mlp' }]
const network = 'digits'
const store = new FsArtifactStore('store')
const stateFolder = 'state'
`,
    after:
      "assert.equal(typeof services.pubsub, 'function')\nassert.equal(typeof services.training, 'function')\n",
  },

  /** A runtime that opens a workload in it. */
  runtime: {
    before: `
import { mkdirSync, writeFileSync } from 'node:fs'
import { EmbeddedRuntime, SubprocessRuntime, TorchProject } from 'torchbed'
${referenceWorker}`,
    after: `
const opened = await TorchProject.open({${plain}}, { runtime })
await opened.close()
await runtime.close()
`,
  },

  /** A workload that takes the config that the schema makes, and no other. */
  'typed-config': {
    before: `
import { writeFileSync } from 'node:fs'
writeFileSync('digits.py', \`
import sys
sys.path.append(${JSON.stringify(workloadRoot)})
from plain import Plain

class Digits(Plain):
    def __init__(self, config):
        assert repr(config) == "{'hidden': 64, 'learning_rate': 1.0}", config
        super().__init__(config)
\`)
`,
    after: 'await project.close()\n',
  },

  /** A class with a hook of its own. */
  'callable-hooks': {
    before: 'import types\n\nimport torch\n\n\n',
    after: `

state = types.SimpleNamespace(model=torch.nn.Linear(64, 10))
scores = Digits().predict(state, {"x": torch.zeros(1, 64)})["scores"]
assert scores.shape == (1, 10) and not scores.requires_grad
`,
    needsTorch: true,
  },

  /** A project whose workload predicts. */
  calling: {
    before: `
import * as assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { tensor, TorchProject, type Tensor } from 'torchbed'
writeFileSync('digits_calling.py', \`
import sys
import torch
sys.path.append(${JSON.stringify(workloadRoot)})
from plain import Plain

class Digits(Plain):
    callable_hooks = {"predict"}

    def predict(self, state, value):
        return {"scores": value["x"][:, :10] + 1}
\`)
const project = await TorchProject.open({
  runtime: { workload_factory: 'digits_calling:Digits', module_search_roots: ['.'] },
})
const model = await project.initModel()
`,
    after: `
assert.deepEqual(scores, tensor(new Float32Array(10).fill(1), [1, 10]))
await project.close()
`,
    needsTorch: true,
  },

  /** A project whose workload predicts a batch. */
  batching: {
    before: `
import * as assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { tensor, TorchProject, type Tensor } from 'torchbed'
writeFileSync('digits_batching.py', \`
import sys
sys.path.append(${JSON.stringify(workloadRoot)})
from plain import Plain

class Digits(Plain):
    callable_hooks = {"predict"}

    def predict(self, state, value):
        return {"scores": value["x"][:, :10] + len(value["x"])}
\`)
const project = await TorchProject.open({
  runtime: { workload_factory: 'digits_batching:Digits', module_search_roots: ['.'] },
})
const model = await project.initModel()
const requests = [1, 2, 3].map((n) => tensor(new Float32Array(64).fill(n)))
`,
    after: `
assert.deepEqual(answers.map(({ scores }) => scores.data[0]), [4, 5, 6])
await project.close()
`,
    needsTorch: true,
  },

  /** A project whose workload predicts in a hurry. */
  urgent: {
    before: `
import * as assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { TorchProject } from 'torchbed'
writeFileSync('digits_urgent.py', \`
import sys
sys.path.append(${JSON.stringify(workloadRoot)})
from plain import Plain

class Digits(Plain):
    callable_hooks = {"predict"}

    def predict(self, state, value):
        return value + 1
\`)
const project = await TorchProject.open({
  runtime: { workload_factory: 'digits_urgent:Digits', module_search_roots: ['.'] },
})
const model = await project.initModel()
const x = 1n
`,
    after: `
assert.equal(answer, 2n)
await project.close()
`,
  },

  /** A class whose window has yield points. */
  'yielding-hook': {
    before: `import torchbed


def learn_from(state, batch):
    return state + batch


`,
    after: `

assert Digits().train_window(1, [2, 3]) == {"loss": 4}
`,
  },

  /** A project, and a model folder that fits it. */
  hub: {
    before: `
import * as assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { TorchProject } from 'torchbed'
writeFileSync('weights_hub.py', \`
import sys
import torch
sys.path.append(${JSON.stringify(workloadRoot)})
from plain import Plain

class Weights(Plain):
    load_model_artifact_path = materialize_model_artifact_path = None

    def model_tensors(self, state):
        return {"w": torch.ones(2)}

    def load_model_tensors(self, state, tensors):
        assert list(tensors) == ["w"]
\`)
const project = await TorchProject.open({
  runtime: { workload_factory: 'weights_hub:Weights', module_search_roots: ['.'] },
})
const model = await project.initModel()
await project.materializeModelArtifactFile(model, 'first.safetensors')
const given = { config: { model_type: 'w' }, rename: (name: string) => 'model.' + name }
await exportHubFolder('first.safetensors', 'their-model', given)
`,
    after: `
assert.deepEqual(readdirSync('my-model'), ['config.json', 'model.safetensors'])
await project.close()
`,
    needsTorch: true,
  },

  /** What records a run. */
  scalars: {
    before: `
import * as assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
`,
    after: `
const head = { metrics: { loss: 0.5 } }
await record({ event: 'promoted', window: 1, promotion: { head } } as unknown as TrainingEvent)
assert.match(readFileSync('metrics.csv', 'utf8'), /^1,.*,canonical.loss,0.5/m)
assert.match(readFileSync(curves.path, 'latin1'), /canonical.loss/)
`,
  },

  /** A class with a generator for a hook. */
  'generating-hook': {
    before: `import torchbed


def sample(model, prompt):
    return [model, prompt]


`,
    after: `

assert list(Writer().generate({"model": "m"}, "p")) == ["m", "p"]
`,
  },

  /** A project whose workload streams. */
  streaming: {
    before: `
import { writeFileSync } from 'node:fs'
import { TorchProject } from 'torchbed'
writeFileSync('streaming_words.py', \`
import sys
sys.path.append(${JSON.stringify(workloadRoot)})
from plain import Plain

class Words(Plain):
    callable_hooks = {"generate"}

    def generate(self, state, prompt):
        yield from prompt.split()
\`)
const project = await TorchProject.open({
  runtime: { workload_factory: 'streaming_words:Words', module_search_roots: ['.'] },
})
const model = await project.initModel()
const prompt = 'a b c'
`,
    after: 'await project.close()\n',
  },

  /** Memory to lend. */
  lending: {
    before: `
import * as assert from 'node:assert/strict'
import { LentBuffer } from 'torchbed'
const arrayBuffer = new ArrayBuffer(64)
`,
    after: `
assert.equal(arrayBuffer.byteLength, 0)
assert.equal(weights.bytes().length, 64)
assert.equal(result.bytes().length, 1024)
`,
  },

  /** Batches for a loop in Python, and what a step does with them. */
  'python-loop': {
    before: `
class Loss:
    def item(self):
        return 0.5

batches = [1, 2, 3]
done = []

def step(batch):
    done.append(batch)

def train(batch):
    done.append(batch)
    return Loss()

`,
    after: '\nassert done == batches\n',
  },

  /** What a line about threads needs. */
  'torch-threads': {
    before: 'import os\n\nimport torch\n\n',
    after: 'assert torch.get_num_threads() == max(1, (os.cpu_count() or 2) - 1)\n',
    needsTorch: true,
  },

  /** Hooks of a class whose state has a model. */
  'tensor-hooks': {
    before: 'import types\n\nimport torch\n\n\nclass Mine:\n',
    after: `

one, other = (types.SimpleNamespace(model=torch.nn.Linear(2, 2)) for _ in range(2))
hooks = Mine()
hooks.load_model_tensors(other, hooks.model_tensors(one))
assert torch.equal(one.model.weight, other.model.weight)
`,
    indent: 4,
    needsTorch: true,
  },
}

/** A block's code inside its setup. */
export function inSetup(name: string, code: string): string {
  const setup = SETUPS[name]
  if (setup === undefined) throw new Error(`there is no setup "${name}"`)
  const margin = ' '.repeat(setup.indent ?? 0)
  return `${setup.before}${code.replace(/^(?=.)/gm, margin)}${setup.after}`
}

/** Where Python finds the package torchbed. */
export const pythonPackage = join(root, 'python')
