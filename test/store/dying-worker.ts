/** The store's worker, which dies in the middle of the task that stores the record format `fatal`. */

import { parentPort } from 'node:worker_threads'

import type { StoreThreadRequest } from '../../lib/store/store-thread-messages.js'
import '../../lib/store/store-worker.js'

parentPort?.on('message', (request: StoreThreadRequest) => {
  if (request.type !== 'run' || !('spec' in request.args)) return
  if (request.args.spec.record_format !== 'fatal') return
  // By now, the task has begun to hash and to write.
  setImmediate(() => {
    throw new RangeError('no memory left')
  })
})
