// A user's program: find Python, train one window, evaluate before and after. Prints one line of JSON.
import process from 'node:process'
import { findPython, TorchProject } from 'torchbed'

const { chosenBecause } = await findPython()
const project = await TorchProject.open({
  runtime: {
    workload_factory: process.argv[2],
    workload_config: { learning_rate: 0.1 },
    module_search_roots: ['.'],
  },
})
const model = await project.initModel()
const before = await project.evaluate(model, 'Test')
const batch = {
  kind: 'micro_epoch',
  lease_id: 'lease-1',
  microshard_ids: [],
  ordinals: [],
  bytes_len: 0,
  pipeline_kind: 'generated-dataset',
  payload: { examples: 32n },
}
const { stats } = await project.trainWindow({ model, batches: Array(40).fill(batch) })
const after = await project.evaluate(model, 'Test')
await project.close()

const { python, prefix, torch } = after.metrics
console.log(
  JSON.stringify({
    node: process.version,
    python,
    prefix,
    torch,
    chosenBecause,
    examples: Number(stats.examples_processed),
    lossBefore: before.metrics.loss,
    lossAfter: after.metrics.loss,
  }),
)
