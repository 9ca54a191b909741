/**
 * One bridge in a separate process: `node child.js BRIDGE PLACES-AS-JSON`.
 *
 * Says `{ready}` after its first answered call, then answers one operation at a time.
 */

import type { BridgeModule, Places } from './bridge.js'
import { Operations, type Operation } from './operations.js'

const [name = '', places = ''] = process.argv.slice(2)
const module = (await import(`./${name}.js`)) as BridgeModule
const bridge = await module.open(JSON.parse(places) as Places)
await bridge.evaluate()
const operations = new Operations(bridge)

process.on('message', (operation: Operation) => {
  void operations.run(operation).then(
    (answer) => process.send?.({ answer }),
    (error: unknown) =>
      process.send?.({ error: error instanceof Error ? error.message : String(error) }),
  )
})
// A bridge may keep its process alive indefinitely.
process.on('disconnect', () => process.exit())
process.send?.({ ready: true })
