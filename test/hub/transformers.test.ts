/** Model folders that transformers writes and reads: through torchbed and back, the model gives the same answers. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { exportHubFolder, importHubFolder, renameBy } from '../../lib/hub/index.js'

/** A Python of its own that has the packages torch and transformers; these tests alone need it. */
const python = process.env.TORCHBED_TRANSFORMERS_PYTHON

const MAKE = `
import sys, torch
from transformers import LlamaConfig, LlamaForCausalLM
torch.manual_seed(0)
config = LlamaConfig(vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
    num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=32)
LlamaForCausalLM(config).save_pretrained(sys.argv[1], max_shard_size=sys.argv[2])
`

const COMPARE = `
import sys, torch
from transformers import AutoModelForCausalLM
first, second = (AutoModelForCausalLM.from_pretrained(path).eval() for path in sys.argv[1:])
tokens = torch.arange(8).reshape(1, 8)
assert torch.equal(first(tokens).logits, second(tokens).logits)
print("same")
`

;(python === undefined ? describe.skip : describe)('a model of transformers', function () {
  this.timeout(120_000)
  let root: string
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'torchbed-transformers-'))
  })
  afterEach(() => rm(root, { recursive: true }))

  const run = (...args: string[]) => promisify(execFile)(python ?? '', ['-c', ...args])

  for (const size of ['1GB', '10KB']) {
    it(`comes from a folder with shards of ${size}, and is loaded from ours in shards`, async () => {
      const [theirs, ours] = [join(root, 'theirs'), join(root, 'ours')]
      const artifact = join(root, 'artifact.safetensors')
      await run(MAKE, theirs, size)
      const { config } = await importHubFolder(theirs, artifact, {
        rename: renameBy([['model.', 'net.']]),
      })
      await exportHubFolder(artifact, ours, {
        config,
        rename: renameBy([['net.', 'model.']]),
        maxShardBytes: 10_000,
      })
      assert.ok((await readdir(ours)).includes('model.safetensors.index.json'))
      assert.equal((await run(COMPARE, theirs, ours)).stdout.trim(), 'same')
    })
  }
})
