/**
 * Run tests with the native code under a sanitizer: `npm run test:asan`, `npm run test:tsan`.
 *
 * Test files may follow: `npm run test:asan -- test/runtime/values.test.ts`. Linux and GCC only.
 */
import process from 'node:process'
import { sanitize } from './sanitize/run.mjs'
import { SANITIZERS } from './sanitize/sanitizers.mjs'
import { Failure, reportFailure } from './support/failure.mjs'

const [name, ...files] = process.argv.slice(2)

try {
  const sanitizer = SANITIZERS[name]
  if (sanitizer === undefined) {
    const names = Object.keys(SANITIZERS).join(' or ')
    throw new Failure(`there is no sanitizer "${name}"`, `say ${names}`)
  }
  const complaints = await sanitize(sanitizer, files.length > 0 ? files : sanitizer.tests)
  for (const { file, what } of complaints) console.log(`failed: ${file}: ${what}`)
  console.log(`${sanitizer.title}: ${complaints.length === 0 ? 'no report' : 'FAILED'}`)
  if (complaints.length > 0) process.exitCode = 1
} catch (error) {
  reportFailure('The run under a sanitizer', error)
  process.exitCode = 1
}
