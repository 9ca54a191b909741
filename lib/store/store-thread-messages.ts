/** What a thread and the store's own thread post to each other. Buffers are transferred. */

import type { TaskArguments, TaskName } from './tasks.js'

/** To the store's thread. */
export type StoreThreadRequest =
  | {
      readonly type: 'run'
      /** Chosen by the caller, never used again. */
      readonly id: number
      readonly name: TaskName
      readonly args: TaskArguments<TaskName>
      /** The task's bytes, when they come at once; else they come as `chunk`s. */
      readonly bytes?: Uint8Array<ArrayBuffer> | undefined
    }
  | { readonly type: 'chunk'; readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: 'end'; readonly id: number }
  | { readonly type: 'abort'; readonly id: number }
  | { readonly type: 'free'; readonly memory: ArrayBuffer }

/** From the store's thread. */
export type StoreThreadReply =
  | { readonly type: 'back'; readonly id: number; readonly memory: ArrayBuffer }
  | { readonly type: 'done'; readonly id: number; readonly result: unknown }
  /** `error` is for `threadErrors.decode`. */
  | { readonly type: 'failed'; readonly id: number; readonly error: unknown }
