/** What is checked of a config before Python runs. */
import assert from 'node:assert/strict'
import { ConfigError, TorchProject } from '../../lib/index.js'
import {
  validateStateDictFilter,
  validateWorkloadConfig,
  WORKLOAD_CONFIG_DEFAULTS,
} from '../../lib/project/workload-config.js'
import { WorkloadFactoryError } from '../../lib/errors.js'

describe('a workload config', () => {
  it('has the defaults of spec project#workload-config', () => {
    assert.deepEqual(WORKLOAD_CONFIG_DEFAULTS, {
      artifact_record_format: 'python-torch-safetensors',
      artifact_precision: 'Fp32',
      artifact_chunking: { chunk_size_bytes: 262144 },
      patch_support: { hot: false, warm: false, cold: false },
      state_dict_filter: { include_globs: [], exclude_globs: [] },
    })
  })

  it('may have a colon in its attribute, since the first one divides', () => {
    validateWorkloadConfig({ runtime: { workload_factory: 'package.module:attr:x' } })
  })

  const refused: [factory: string, text: string][] = [
    ['module', 'python workload_factory must use module:attr form'],
    ['', 'python workload_factory must use module:attr form'],
    [':attr', 'python workload_factory must include non-empty module and attr'],
    ['module:', 'python workload_factory must include non-empty module and attr'],
    [' \t: ', 'python workload_factory must include non-empty module and attr'],
  ]
  for (const [factory, text] of refused) {
    it(`with the factory ${JSON.stringify(factory)} is refused in the words of spec project#error-texts`, async () => {
      const config = { runtime: { workload_factory: factory } }
      const expected = (error: Error) =>
        error instanceof WorkloadFactoryError &&
        error.message === `${text}, got ${JSON.stringify(factory)}`
      assert.throws(() => validateWorkloadConfig(config), expected)
      await assert.rejects(TorchProject.open(config), expected)
    })
  }

  it('with a bad filter is refused before Python runs', async () => {
    const config = {
      runtime: { workload_factory: 'nowhere:nothing' },
      state_dict_filter: { include_globs: [''], exclude_globs: [] },
    }
    await assert.rejects(TorchProject.open(config), ConfigError)
  })
})

describe('a state dict filter', () => {
  it('takes the patterns of fnmatch, and none at all', () => {
    validateStateDictFilter({ include_globs: [], exclude_globs: [] })
    validateStateDictFilter({ include_globs: ['*', 'layer.?.[!a]*'], exclude_globs: ['*.bias'] })
  })

  it('is refused with every bad pattern at once, in the words of spec project#error-texts', () => {
    const filter = { include_globs: ['ok', '', ' \n'], exclude_globs: ['*.bias', 'a\0b'] }
    assert.throws(
      () => validateStateDictFilter(filter),
      (error) => {
        assert.ok(error instanceof ConfigError)
        assert.deepEqual(error.issues, [
          {
            path: 'state_dict_filter.include_globs[1]',
            message: 'state_dict_filter.include_globs contains an empty pattern',
          },
          {
            path: 'state_dict_filter.include_globs[2]',
            message: 'state_dict_filter.include_globs contains an empty pattern',
          },
          {
            path: 'state_dict_filter.exclude_globs[1]',
            message: 'state_dict_filter.exclude_globs pattern contains a NUL byte',
          },
        ])
        return true
      },
    )
  })
})
