// Ending what Python's thread waits for: a signal to that thread, without SA_RESTART, as Ctrl-C is in Python alone.
#include "../common/interrupts.hpp"

#include <pthread.h>

#include <atomic>
#include <csignal>

#include "python_thread.hpp"

namespace torchbed {
namespace {

std::atomic<bool> is_known{false};
pthread_t python_thread{};

int choose() {
#ifdef SIGRTMAX
  // From above: libraries that want one for themselves count from SIGRTMIN. The last belongs to valgrind.
  for (int number = SIGRTMAX - 1; number > SIGRTMIN; --number) {
    struct sigaction now{};
    if (sigaction(number, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 &&
        now.sa_handler == SIG_DFL) {
      return number;
    }
  }
#endif
  // Ignored by default, and sent for urgent data alone.
  return SIGURG;
}

}  // namespace

int interrupt_signal() {
  static const int chosen = choose();
  return chosen;
}

void remember_python_thread() {
  python_thread = pthread_self();
  is_known.store(true, std::memory_order_release);
}

bool is_python_thread() {
  return is_known.load(std::memory_order_acquire) &&
         pthread_equal(pthread_self(), python_thread) != 0;
}

void interrupt_wait() {
  struct sigaction now{};
  // Without a handler it would end the process.
  if (sigaction(interrupt_signal(), nullptr, &now) != 0) return;
  if ((now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_DFL) return;
  signal_python_thread(interrupt_signal());
}

bool signal_python_thread(int number) {
  return is_known.load(std::memory_order_acquire) && pthread_kill(python_thread, number) == 0;
}

}  // namespace torchbed
