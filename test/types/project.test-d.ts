/** TorchProject: what it is opened with, what its calls take and give. Compiled, never run. */
import { expectTypeOf } from 'expect-type'
import { z } from 'zod'
import {
  EmbeddedRuntime,
  PyFloat,
  SubprocessRuntime,
  TorchProject,
  type CallOptions,
  type ModelCandidate,
  type ModelHandle,
  type PyInput,
  type PythonRuntime,
  type StandardSchema,
  type TorchProjectOptions,
  type TorchWorkloadConfig,
  type TrainBatch,
  type TrainWindow,
} from '../../lib/index.js'
import type { LeaseDataPipeline } from '../../lib/data/index.js'
import type {
  MergePolicy,
  MetricReport,
  Metrics,
  MetricValue,
  PythonBatchRef,
  WindowReport,
} from '../../lib/schema/index.js'

declare const project: TorchProject
declare const model: ModelHandle
declare const batch: PythonBatchRef

// --- open, without a schema ---------------------------------------------------------------------

const runtime = { workload_factory: 'line:Line' }

expectTypeOf(TorchProject.open({ runtime })).resolves.toEqualTypeOf<TorchProject>()
expectTypeOf<TorchWorkloadConfig['runtime']['workload_config']>().toEqualTypeOf<PyInput>()
expectTypeOf<TorchProjectOptions['runtime']>().toEqualTypeOf<PythonRuntime | undefined>()
expectTypeOf<TorchProjectOptions['isolation']>().toEqualTypeOf<'none' | 'process' | undefined>()
expectTypeOf<TorchProjectOptions['pipeline']>().toEqualTypeOf<LeaseDataPipeline | undefined>()
expectTypeOf<TorchProjectOptions['signal']>().toEqualTypeOf<AbortSignal | undefined>()
expectTypeOf<EmbeddedRuntime>().toExtend<PythonRuntime>()
expectTypeOf<SubprocessRuntime>().toExtend<PythonRuntime>()
expectTypeOf<TorchProject>().toExtend<AsyncDisposable>()

void TorchProject.open({ runtime: { ...runtime, workload_config: { rate: new PyFloat(1) } } })
void TorchProject.open({ runtime }, { isolation: 'process', signal: new AbortController().signal })

// @ts-expect-error a runtime needs a factory
void TorchProject.open({ runtime: {} })
// @ts-expect-error a config has its workload under `runtime`
void TorchProject.open(runtime)
// @ts-expect-error the wire's names are kept: workload_factory
void TorchProject.open({ runtime: { workloadFactory: 'line:Line' } })
// @ts-expect-error a function cannot cross
void TorchProject.open({ runtime: { ...runtime, workload_config: { rate: () => 1 } } })
// @ts-expect-error there is no such isolation
void TorchProject.open({ runtime }, { isolation: 'thread' })
// @ts-expect-error a project is opened, not made
new TorchProject()

// --- open, with a schema ------------------------------------------------------------------------

const Config = z.object({
  layers: z.array(z.int()),
  rate: z.number().transform((rate) => new PyFloat(rate)),
  seed: z.int().default(7),
})
const schema = { workloadConfigSchema: Config }

void TorchProject.open(
  { runtime: { ...runtime, workload_config: { layers: [8], rate: 1 } } },
  schema,
)
void TorchProject.open(
  { runtime: { ...runtime, workload_config: { layers: [8], rate: 1, seed: 1 } } },
  { ...schema, isolation: 'process' },
)
void TorchProject.open(
  // @ts-expect-error `rate` is missing
  { runtime: { ...runtime, workload_config: { layers: [8] } } },
  schema,
)
void TorchProject.open(
  // @ts-expect-error `layers` holds integers
  { runtime: { ...runtime, workload_config: { layers: ['8'], rate: 1 } } },
  schema,
)
void TorchProject.open(
  // @ts-expect-error there is no `sed`
  { runtime: { ...runtime, workload_config: { layers: [8], rate: 1, sed: 7 } } },
  schema,
)
void TorchProject.open(
  // @ts-expect-error a schema's input is given, not its output
  { runtime: { ...runtime, workload_config: { layers: [8], rate: new PyFloat(1) } } },
  schema,
)
// @ts-expect-error this schema asks for a workload_config
void TorchProject.open({ runtime }, schema)
void TorchProject.open(
  { runtime },
  { workloadConfigSchema: Config.prefault({ layers: [], rate: 1 }) },
)
void TorchProject.open({ runtime }, { workloadConfigSchema: Config.optional() })

const givesSymbol = z.undefined().transform(() => Symbol())
// @ts-expect-error what this schema gives cannot cross
void TorchProject.open({ runtime }, { workloadConfigSchema: givesSymbol })

expectTypeOf(Config).toExtend<StandardSchema<z.input<typeof Config>, z.output<typeof Config>>>()
expectTypeOf<TorchWorkloadConfig<{ a: 1 }>['runtime']['workload_config']>().toEqualTypeOf<{
  a: 1
}>()
// What came of the schema is known to Python alone.
expectTypeOf(project.config).toEqualTypeOf<TorchWorkloadConfig>()

// --- calls --------------------------------------------------------------------------------------

expectTypeOf(project.initModel()).resolves.toEqualTypeOf<ModelHandle>()
expectTypeOf<TorchProject['trainWindow']>().parameter(0).toEqualTypeOf<TrainWindow>()
expectTypeOf<TorchProject['trainWindow']>().parameter(1).toEqualTypeOf<CallOptions | undefined>()
expectTypeOf(
  project.trainWindow({ model, batches: [batch] }),
).resolves.toEqualTypeOf<WindowReport>()
expectTypeOf<WindowReport['stats']>().toEqualTypeOf<Metrics>()
expectTypeOf<Metrics>().toEqualTypeOf<Readonly<Record<string, MetricValue>>>()
expectTypeOf<MetricValue>().toEqualTypeOf<bigint | number | boolean | string>()
expectTypeOf<Metrics[string]>().not.toExtend<number>()
expectTypeOf(project.evaluate(model, 'Test')).resolves.toEqualTypeOf<MetricReport>()
expectTypeOf(project.evaluate(model, { Custom: 'mine' })).resolves.toEqualTypeOf<MetricReport>()
expectTypeOf<
  TorchProject['mergeCandidateModels']
>().returns.resolves.toEqualTypeOf<ModelHandle | null>()
expectTypeOf<TorchProject['mergeCandidateModels']>()
  .parameter(1)
  .toEqualTypeOf<readonly ModelCandidate[]>()
expectTypeOf<TorchProject['mergeCandidateModels']>().parameter(2).toEqualTypeOf<MergePolicy>()
expectTypeOf<TrainWindow['batches']>().toEqualTypeOf<readonly TrainBatch[]>()

// @ts-expect-error there is no such split
void project.evaluate(model, 'Tset')
// @ts-expect-error a model is a handle, not its id
void project.trainWindow({ model: 'm1', batches: [] })
// @ts-expect-error a batch has a kind
void project.trainWindow({ model, batches: [{ lease_id: 'lease-1' }] })
// @ts-expect-error the config does not change after it was read
project.config = { runtime }
// @ts-expect-error a metric may be a bigint, which Math does not take
Math.log((await project.evaluate(model, 'Test')).metrics.loss)
