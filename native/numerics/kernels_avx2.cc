// The kernels for x86-64 processors with AVX2; compiled with -mavx2, called where `kernels` has found it.
#define TORCHBED_KERNELS avx2_kernels
#include "kernels.inc"
