/** What a project says that it is, and what it refuses to be. */
/* eslint-disable @typescript-eslint/no-deprecated -- what is there for parity alone is held too */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError, EmbeddedRuntime, TorchProject } from '../../lib/index.js'
import {
  PythonNotFoundError,
  RevisionMismatchError,
  WorkloadImportError,
} from '../../lib/errors.js'
import { supportedWorkload } from '../../lib/schema/index.js'
import { workloadRoot } from '../support/workloads.js'
import { modelsInPython, openScripted, scripted } from './support.js'

const known = {
  supported_workload: supportedWorkload({
    workload_id: 'digits',
    workload_name: 'Digits',
    model_program_hash: 'program',
    checkpoint_format_hash: 'format',
  }),
  model_schema_hash: 'schema',
}
const revision = {
  workload_id: 'digits',
  model_schema_hash: 'schema',
  checkpoint_format_hash: 'format',
}

describe('the identity of a project', () => {
  it('is what its config says', async () => {
    await using project = await openScripted({}, known)
    assert.deepEqual(project.supportedWorkload, known.supported_workload)
    assert.equal(project.workloadId, 'digits')
    assert.equal(project.modelSchemaHash, 'schema')
    assert.equal(project.checkpointFormatHash, 'format')
    assert.deepEqual(project.supportedPatchClasses, { hot: false, warm: false, cold: false })
  })

  it('includes the classes of patch that its config supports', async () => {
    const patch_support = { hot: true, warm: false, cold: true }
    await using project = await openScripted({}, { patch_support })
    assert.deepEqual(project.supportedPatchClasses, patch_support)
  })

  it('is verified field by field, with an error for each that differs', async () => {
    await using project = await openScripted({}, known)
    project.verifyRevision(revision)
    for (const field of ['workload_id', 'model_schema_hash', 'checkpoint_format_hash'] as const) {
      assert.throws(
        () => project.verifyRevision({ ...revision, [field]: 'another' }),
        (error) =>
          error instanceof RevisionMismatchError &&
          error.field === field &&
          error.message ===
            `Cannot use ${field} "another": this workload's is "${revision[field]}"`,
      )
    }
  })

  it('cannot be switched to another workload', async () => {
    await using project = await openScripted({}, known)
    project.switchRuntimeWorkload('digits')
    assert.throws(
      () => project.switchRuntimeWorkload('letters'),
      (error) => error instanceof RevisionMismatchError && error.field === 'workload_id',
    )
  })

  it('that its config lacks is a config error that names the field and the remedy', async () => {
    await using project = await openScripted()
    const uses: [field: string, use: (project: TorchProject) => unknown][] = [
      ['supported_workload', (it) => it.supportedWorkload],
      ['supported_workload', (it) => it.workloadId],
      ['supported_workload', (it) => it.checkpointFormatHash],
      ['supported_workload', (it) => it.verifyRevision(revision)],
      ['supported_workload', (it) => it.switchRuntimeWorkload('digits')],
      ['model_schema_hash', (it) => it.modelSchemaHash],
      ['dataset', (it) => it.pipeline],
      ['dataset', (it) => it.dataPipelineDescriptor],
      ['dataset', (it) => it.dataPipelineKind],
    ]
    for (const [field, use] of uses) {
      assert.throws(
        () => use(project),
        (error) => {
          assert.ok(error instanceof ConfigError)
          assert.deepEqual(
            error.issues.map(({ path }) => path),
            [field],
          )
          assert.match(error.message, /set it in TorchProject\.open/)
          return true
        },
      )
    }
    await assert.rejects(project.datasetRegistration(), ConfigError)
    await assert.rejects(project.localUpstreamRoot(), ConfigError)
    assert.equal(project.configuredShardRoot, null)
  })
})

describe('the capability of a project', () => {
  const hooks = {
    capability_probe: '{**usual(), "work_units_per_second": float(n)}',
  }

  it('is measured when the project is opened, and the benchmark gives that', async () => {
    await using project = await openScripted(hooks)
    assert.equal(project.capability.work_units_per_second, 1)
    assert.equal(project.benchmark(), project.capability)
    assert.equal(project.benchmark(), project.capability)
  })

  it('can be measured anew, which leaves the first one as it was', async () => {
    await using project = await openScripted(hooks)
    assert.equal((await project.probeCapability()).work_units_per_second, 2)
    assert.equal((await project.probeCapability()).work_units_per_second, 3)
    assert.equal(project.benchmark().work_units_per_second, 1)
  })
})

describe('the runtime of a project', () => {
  it('has the environment and the module search roots of the config', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'torchbed-'))
    try {
      const hooks = 'evaluate = lambda self, state, split: {"value": os.environ["TORCHBED_TEST"]}'
      const source = `import os\nfrom plain import Plain\nclass Found(Plain):\n    ${hooks}\n`
      await writeFile(join(folder, 'found_in_a_root.py'), source)
      const config = (...module_search_roots: string[]) => ({
        runtime: {
          workload_factory: 'found_in_a_root:Found',
          module_search_roots,
          env: { TORCHBED_TEST: 'from the config' },
        },
      })
      await assert.rejects(TorchProject.open(config(workloadRoot)), WorkloadImportError)
      await using project = await TorchProject.open(config(folder, workloadRoot))
      await using model = await project.initModel()
      assert.equal((await project.evaluate(model, 'Test')).metrics.value, 'from the config')
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('is the Python that the config names, or there is none', async () => {
    const { runtime } = scripted()
    const python_executable = '/nowhere/python'
    await assert.rejects(
      TorchProject.open({ runtime: { ...runtime, python_executable } }),
      (error) => error instanceof PythonNotFoundError && error.message.includes(python_executable),
    )
  })

  it('is closed with the project that started it, and left open when it was given', async () => {
    await using runtime = await EmbeddedRuntime.start()
    const guest = await TorchProject.open(scripted(), { runtime })
    const owner = await TorchProject.open(scripted())
    await guest.close()
    await owner.close()
    assert.ok(guest.closed && owner.closed)
    await using another = await TorchProject.open(scripted(), { runtime })
    assert.equal(another.workloadName, 'scripted')
  })

  it('is not left running by a workload that cannot be opened', async () => {
    await using runtime = await EmbeddedRuntime.start()
    const before = await modelsInPython(runtime)
    for (const hooks of [{ capability_probe: 'fail("no GPU")' }, { runtime_device: 'None' }]) {
      await assert.rejects(TorchProject.open(scripted(hooks), { runtime }))
    }
    assert.equal(await modelsInPython(runtime), before)
  })
})
