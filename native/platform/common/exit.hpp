// Leaving the process while Python may still be busy.
#pragma once

#include <chrono>

namespace torchbed {

/// How long the process waits for Python to come to rest by default.
inline constexpr std::chrono::milliseconds kDefaultGrace{2000};

/// Registers an exit handler that shuts Python down (see Interpreter::shut_down) and, if it does
/// not come to rest within `grace`, flushes and leaves by _exit() (TerminateProcess() on Windows) with the
/// process's own status.
/// Registered late on purpose: handlers run in reverse order, so this one comes before torch's
/// static destructors, which would crash under a thread that still runs. Any thread.
///
/// `status` is used where the system tells the handler no status (outside glibc). On Windows no other thread is
/// left when handlers run, so that a Python that is idle is left as it is, its atexit functions uncalled.
void end_without_destructors_if_busy(std::chrono::milliseconds grace, int status);

/// Flushes and leaves at once, without running exit handlers. Any thread.
[[noreturn]] void leave_without_destructors(int status);

}  // namespace torchbed
