/**
 * Run every test: `npm test`.
 *
 * Arguments narrow the run: `npm test -- --grep words` and `npm test -- test/a/b.test.ts` go to
 * mocha, `npm test -- python/tests/test_host.py` to pytest. The last line is the sum of all suites.
 */
import process from 'node:process'
import { closeWith, runTests } from './support/suites.mjs'

closeWith(await runTests(process.argv.slice(2)))
