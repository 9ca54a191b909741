/** The control of test:asan: Python reads lent memory after JavaScript has taken it back and freed it. */
import { fileURLToPath } from 'node:url'
import { EmbeddedRuntime, LentBuffer } from '../../dist/lib/index.js'

const runtime = await EmbeddedRuntime.start()
const session = await runtime.openWorkload({
  factory: 'value_probe:create_workload',
  moduleSearchRoots: [fileURLToPath(new URL('../../test/workloads', import.meta.url))],
})
const probe = (expression, value) => session.call('probe', { expression, value })

const lent = LentBuffer.allocate(100_000)
const address = await probe(
  '__import__("ctypes").addressof(__import__("ctypes").c_char.from_buffer(value))',
  lent,
)
lent.take()
for (let i = 0; i < 10; i++) globalThis.gc()
const seen = await probe('len(__import__("ctypes").string_at(value, 100000))', address)
console.log(`read ${seen} bytes of freed memory, and nobody noticed`)
