// Leaving the process while Python may still be busy: a handler of libc, and _exit().
#include "../common/exit.hpp"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "../../bridge/interpreter.hpp"

namespace torchbed {
namespace {

std::atomic<int64_t> grace_ms{0};

void leave(int status) {
  if (Interpreter::instance().shut_down(std::chrono::milliseconds(grace_ms.load()))) return;
  leave_without_destructors(status);
}

#ifdef __GLIBC__
void on_process_exit(int status, void* /*unused*/) { leave(status); }
#else
std::atomic<int> known_status{0};
void on_process_exit() { leave(known_status.load()); }
#endif

}  // namespace

void end_without_destructors_if_busy(std::chrono::milliseconds grace, int status) {
  grace_ms.store(grace.count());
#ifdef __GLIBC__
  (void)status;
  on_exit(on_process_exit, nullptr);
#else
  known_status.store(status);
  std::atexit(on_process_exit);
#endif
}

void leave_without_destructors(int status) {
  std::fflush(nullptr);
  _exit(status);
}

}  // namespace torchbed
