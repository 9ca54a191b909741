/** What a way into Python must be able to do, so that it can be measured beside the others. */

import type { PythonBatchRef } from '../../lib/schema/index.js'

/** Where a bridge finds what it needs. All paths are absolute. */
export interface Places {
  /** The Python executable of the virtual environment. */
  readonly python: string
  /** Its site-packages, for a bridge that starts the installation behind it. */
  readonly sitePackages: string
  /** Folders of Python modules: plain_calls, bench_workload, digits_workload, torchbed. */
  readonly modules: readonly string[]
  /** The file plain_calls.py. */
  readonly plainCalls: string
  /** The folder whose node_modules has the other packages. */
  readonly packages: string
}

/** A configuration of examples/digits. */
export type DigitsConfig = Readonly<Record<string, string | number>>

/**
 * One way into Python, used as its own documentation recommends for the purpose. All calls are
 * asynchronous: a peer-to-peer node cannot stop its event loop.
 */
export interface Bridge {
  /** A call that computes nothing. */
  evaluate(): Promise<unknown>
  /** A call that carries batches and computes nothing. */
  trainWindow(batches: readonly PythonBatchRef[]): Promise<unknown>
  /** Makes a live model of float32 tensors of 16 MB. */
  openWeights(megabytes: number): Promise<void>
  /** Copies a safetensors file in this process's memory into the live model; gives the memory back. */
  load(artifact: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>
  /** The live model as a safetensors file in this process's memory. */
  materialize(): Promise<Uint8Array<ArrayBuffer>>
  /** Makes the model of examples/digits. */
  openDigits(config: DigitsConfig): Promise<void>
  /** Trains one window; the number of examples processed in it. */
  trainDigits(batches: readonly PythonBatchRef[]): Promise<number>
  close(): Promise<void>
}

/** A module that has a bridge. */
export interface BridgeModule {
  open(places: Places): Promise<Bridge>
}
