/**
 * Run tests: `npm test` runs the suite `unit`, `npm run test:process` and the like another.
 *
 * The first arguments may name suites, or `all`. Further ones narrow the run: `npm test -- --grep words` and
 * `npm test -- test/a/b.test.ts` go to mocha, `npm test -- python/tests/test_host.py` to pytest. The last line is
 * the sum.
 */
import process from 'node:process'
import { closeWith, runTests, SUITES } from './support/suites.mjs'

const args = process.argv.slice(2)
const names = []
while (args[0] === 'all' || Object.hasOwn(SUITES, args[0] ?? '')) names.push(args.shift())
const isAll = names.includes('all')
closeWith(await runTests(isAll ? Object.keys(SUITES) : names.length > 0 ? names : ['unit'], args))
