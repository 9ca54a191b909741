/* global process */
/** Mocha's spec reporter; leaves the counts in the file that TORCHBED_TEST_COUNTS names. */
const { writeFileSync } = require('node:fs')
const { reporters, Runner } = require('mocha')

module.exports = class CountingReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures, pending } = this.stats
      const counts = { passed: passes, failed: failures, skipped: pending }
      writeFileSync(process.env.TORCHBED_TEST_COUNTS, JSON.stringify(counts))
    })
  }
}
