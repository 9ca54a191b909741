// Ending what Python's thread waits for: a signal to that thread, without SA_RESTART, as Ctrl-C is in Python alone.
#include "../common/interrupts.hpp"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <mutex>

#include "python_thread.hpp"

namespace torchbed {
namespace {

std::atomic<bool> is_known{false};
pthread_t python_thread{};

std::atomic<int> stack_pipe{-1};

/// How long the stack may take to come, and how long a part of it after another, in milliseconds.
constexpr int kStackMs = 20;
constexpr int kStackPartMs = 2;

/// The first free one below `above`, or zero.
int free_signal(int above) {
#ifdef SIGRTMAX
  // From above: libraries that want one for themselves count from SIGRTMIN.
  for (int number = above - 1; number > SIGRTMIN; --number) {
    struct sigaction now{};
    if (sigaction(number, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 &&
        now.sa_handler == SIG_DFL) {
      return number;
    }
  }
#else
  (void)above;
#endif
  return 0;
}

int choose() {
#ifdef SIGRTMAX
  // The last belongs to valgrind.
  if (const int number = free_signal(SIGRTMAX); number != 0) return number;
#endif
  // Ignored by default, and sent for urgent data alone.
  return SIGURG;
}

/// What is in the pipe, once the first of it has come.
std::string read_pipe(int descriptor, int first_ms) {
  std::string text;
  std::array<char, 4096> part{};
  pollfd waiting{descriptor, POLLIN, 0};
  for (int limit = first_ms; poll(&waiting, 1, limit) == 1; limit = kStackPartMs) {
    const ssize_t size = read(descriptor, part.data(), part.size());
    if (size <= 0) break;
    text.append(part.data(), static_cast<std::size_t>(size));
  }
  return text;
}

}  // namespace

int interrupt_signal() {
  static const int chosen = choose();
  return chosen;
}

int stack_signal() {
  static const int chosen = free_signal(interrupt_signal());
  return chosen;
}

void set_stack_pipe(int descriptor) { stack_pipe.store(descriptor); }

std::string python_stack() {
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  const int descriptor = stack_pipe.load();
  if (descriptor == -1 || stack_signal() == 0) return "";
  read_pipe(descriptor, 0);  // of one that came too late
  if (!signal_python_thread(stack_signal())) return "";
  return read_pipe(descriptor, kStackMs);
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
