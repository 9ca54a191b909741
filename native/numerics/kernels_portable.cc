// The kernels for every processor of the platform.
#define TORCHBED_KERNELS portable_kernels
#include <cstdlib>

#include "kernels.inc"

namespace torchbed {

const Kernels& kernels() {
#ifdef TORCHBED_AVX2
  // The variable is for comparing: the test suite holds both to the same bits.
  static const Kernels& chosen =
      __builtin_cpu_supports("avx2") && std::getenv("TORCHBED_PORTABLE_KERNELS") == nullptr
          ? avx2_kernels()
          : portable_kernels();
  return chosen;
#else
  return portable_kernels();
#endif
}

}  // namespace torchbed
