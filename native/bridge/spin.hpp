// Waiting without sleeping, for the few microseconds in which the answer is about to come.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

namespace torchbed {

/// Tells the processor that this thread waits.
inline void relax_processor() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
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
