// The floating-point mode that all results depend on.
#pragma once

#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#endif

namespace torchbed {

/// While it lives, this thread rounds to nearest and keeps subnormal numbers: a library in the process may have
/// switched that off for it.
class FloatMode {
 public:
#if defined(__x86_64__) || defined(_M_X64)
  FloatMode() : before_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
  ~FloatMode() { _mm_setcsr(before_); }
#elif defined(__aarch64__)
  FloatMode() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" : : "r"(std::uint64_t{0}));
  }
  ~FloatMode() { asm volatile("msr fpcr, %0" : : "r"(before_)); }
#else
  FloatMode() = default;
  ~FloatMode() = default;
#endif
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;

 private:
#if defined(__x86_64__) || defined(_M_X64)
  unsigned before_;
#elif defined(__aarch64__)
  std::uint64_t before_ = 0;
#endif
};

}  // namespace torchbed
