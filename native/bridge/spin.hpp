// Waiting without sleeping, for the few microseconds in which the answer is about to come.
#pragma once

#include <atomic>
#include <chrono>

namespace torchbed {

/// Tells the processor that this thread waits.
inline void relax_processor() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

/// Until `flag` is set, for `limit` at most.
inline void spin_until(const std::atomic<bool>& flag, std::chrono::microseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!flag.load(std::memory_order_acquire) && std::chrono::steady_clock::now() < end) {
    relax_processor();
  }
}

}  // namespace torchbed
