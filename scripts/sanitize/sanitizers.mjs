/** The sanitizers, how they are set, and which tests run under them. */
const LENT = ['buffer', 'kept', 'kinds', 'property'].map(
  (name) => `test/runtime/lent-${name}.test.ts`,
)

const CALLS = [
  'test/runtime/values.test.ts',
  'test/runtime/values-property.test.ts',
  'test/runtime/embedded-runtime.test.ts',
  'test/runtime/low-latency.alone.test.ts',
]

const NUMERICS = ['test/diloco/numerics.test.ts', 'test/diloco/borrowing.test.ts']

/** Titles, as an expression for mocha. */
const LEFT_OUT = [
  // Nothing is fast under a sanitizer.
  'leaves the event loop free while Python computes',
  // Where memory ends, a sanitizer's operator new ends the process, whatever its options, and never throws.
  'refuses bytes that do not fit into memory, and the process lives',
].join('|')

export const SANITIZERS = {
  address: {
    title: 'AddressSanitizer and UndefinedBehaviorSanitizer',
    flags: 'address,undefined',
    library: 'libasan.so',
    folder: 'asan',
    options: {
      // Some objects are leaked on purpose. A test asks Python for more memory than there is.
      ASAN_OPTIONS: 'detect_leaks=0:allocator_may_return_null=1',
      UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
      // Without Python's own allocator every object of Python is watched too.
      PYTHONMALLOC: 'malloc',
    },
    control: 'use-after-take.mjs',
    expected: 'heap-use-after-free',
    tests: [...LENT, ...CALLS, ...NUMERICS],
    leftOut: LEFT_OUT,
    /** Warnings are no reports. */
    counts: (text) => /ERROR: AddressSanitizer|runtime error:/.test(text),
  },
  thread: {
    title: 'ThreadSanitizer',
    flags: 'thread',
    library: 'libtsan.so',
    folder: 'tsan',
    options: {
      // Without torch, whose threads synchronise in ways that the sanitizer does not see.
      TORCHBED_WITHOUT_TORCH: '1',
      TSAN_OPTIONS: 'exitcode=0:allocator_may_return_null=1:history_size=7:report_signal_unsafe=0',
    },
    control: null,
    tests: [...LENT, ...CALLS, ...NUMERICS],
    leftOut: LEFT_OUT,
    /** Node and Python are not built with it, so their atomic operations look like races: ours alone count. */
    counts: (text) =>
      /WARNING: ThreadSanitizer/.test(text) &&
      /native\/(bridge|numerics)|torchbed_(bridge|numerics)/.test(text),
  },
}
