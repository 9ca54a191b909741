/**
 * A process in which one action of actions.ts or environments.ts is done; cell.ts
 * starts it. Arguments: the action and a folder of its own, in which it leaves what came of it as
 * `result.json`: its standard streams may be closed.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ACTIONS } from './actions.js'
import { ENVIRONMENTS } from './environments.js'

const [name = '', folder = ''] = process.argv.slice(2)
const action = { ...ACTIONS, ...ENVIRONMENTS }[name]
if (action === undefined) throw new Error(`there is no action ${JSON.stringify(name)}`)
const result = await action({ folder })
const plain = (_: string, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)
writeFileSync(join(folder, 'result.json'), JSON.stringify(result, plain))
