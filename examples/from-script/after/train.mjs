/**
 * Train a small network to read handwritten digits; the network is in workload.py.
 *
 *     node train.mjs --epochs 10 --out digits.safetensors
 */
import { dirname } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { TorchProject } from 'torchbed'

const { values: args } = parseArgs({
  options: {
    epochs: { type: 'string', default: '10' },
    hidden: { type: 'string', default: '64' },
    'learning-rate': { type: 'string', default: '3e-3' },
    'batch-size': { type: 'string', default: '32' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string', default: 'digits.safetensors' },
  },
})

const project = await TorchProject.open({
  runtime: {
    workload_factory: 'workload:Digits',
    module_search_roots: [dirname(fileURLToPath(import.meta.url))],
    workload_config: {
      hidden: Number(args.hidden),
      learning_rate: Number(args['learning-rate']),
      batch_size: Number(args['batch-size']),
      seed: Number(args.seed),
    },
  },
})
const model = await project.initModel()

const showProgress = ({ step, total }) => {
  if (process.stderr.isTTY) process.stderr.write(`\r${step} of ${total} digits \r`)
}
for (let epoch = 1; epoch <= Number(args.epochs); epoch++) {
  const train = await project.trainWindow({ model, batches: [] }, { onProgress: showProgress })
  const test = await project.evaluate(model, 'Test')
  console.log(
    `epoch ${epoch}: loss ${train.stats.loss.toFixed(6)}, ` +
      `test loss ${test.metrics.loss.toFixed(6)}, accuracy ${test.metrics.accuracy.toFixed(4)}`,
  )
}

await project.materializeModelArtifactFile(model, args.out)
console.log(`saved ${args.out}`)
await project.close()
