/** Projects as a p2p node has them: weights of a size, and the digits example. */

import { chunkingScheme, type FsArtifactStore } from '../lib/store/index.js'
import {
  TorchProject,
  type ModelHandle,
  type PythonRuntime,
  type WorkloadSpec,
} from '../lib/index.js'
import type { ArtifactDescriptor, ChunkingScheme } from '../lib/schema/index.js'
import { benchWorkload } from './workload.js'

/** A project over a workload. Chunks are as large as the store makes them by default, 8 MiB. */
export async function openProject(
  runtime: PythonRuntime,
  workload: WorkloadSpec,
  chunking: ChunkingScheme = chunkingScheme(),
): Promise<TorchProject> {
  const { factory, config = null, moduleSearchRoots = [] } = workload
  return TorchProject.open(
    {
      runtime: {
        workload_factory: factory,
        workload_config: config,
        module_search_roots: [...moduleSearchRoots],
      },
      model_schema_hash: 'bench',
      artifact_chunking: chunking,
    },
    { runtime },
  )
}

/** A project whose models are `megabytes` large and exchange their tensors in lent memory. */
export async function openWeights(
  runtime: PythonRuntime,
  megabytes: number,
  chunking?: ChunkingScheme,
): Promise<TorchProject> {
  return openProject(runtime, benchWorkload({ megabytes, hooks: 'tensors' }), chunking)
}

/** Stores the model as a head's whole weights. */
export async function publish(
  project: TorchProject,
  model: ModelHandle,
  store: FsArtifactStore,
): Promise<ArtifactDescriptor> {
  return project.materializeModelArtifact(model, { kind: 'FullHead', head_id: 'head-1' }, store)
}
