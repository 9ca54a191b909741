/** The processors that prebuilds are made for on Linux. */

/**
 * By `process.arch`. `triplet` is Debian's and GCC's name, `debian` that of Debian's packages, `processor` CMake's,
 * `machine` the number in an ELF header, `loader` the program that starts others.
 */
export const ARCHITECTURES = {
  x64: {
    triplet: 'x86_64-linux-gnu',
    debian: 'amd64',
    processor: 'x86_64',
    machine: 62,
    loader: 'ld-linux-x86-64.so.2',
  },
  arm64: {
    triplet: 'aarch64-linux-gnu',
    debian: 'arm64',
    processor: 'aarch64',
    machine: 183,
    loader: 'ld-linux-aarch64.so.1',
  },
}
