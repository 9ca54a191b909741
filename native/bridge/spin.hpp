// Waiting without sleeping, for the few microseconds in which the answer is about to come.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#if defined(__x86_64__) || defined(__i386__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(_M_ARM64)
#include <intrin.h>
#endif

namespace torchbed {

/// Tells the processor that this thread waits.
inline void relax_processor() {
#if defined(__x86_64__) || defined(__i386__) || defined(_M_X64)
  _mm_pause();
#elif defined(_M_ARM64)
  __yield();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

/// Until `flag` is set, for `limit` at most. Yields between short spins: the thread that is to set the flag
/// may wait for this very core.
inline void spin_until(const std::atomic<bool>& flag, std::chrono::microseconds limit) {
  constexpr int kSpinsPerYield = 16;
  const auto end = std::chrono::steady_clock::now() + limit;
  do {
    for (int i = 0; i < kSpinsPerYield; ++i) {
      if (flag.load(std::memory_order_acquire)) return;
      relax_processor();
    }
    std::this_thread::yield();
  } while (std::chrono::steady_clock::now() < end);
}

}  // namespace torchbed
