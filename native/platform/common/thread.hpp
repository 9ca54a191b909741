// Threads that nobody joins, with a stack of a given size.
#pragma once

#include <cstddef>
#include <functional>

namespace torchbed {

/// Runs `body` on a new thread that nobody joins. False when the system gives no thread. Any thread.
bool start_detached_thread(std::size_t stack_bytes, std::function<void()> body);

/// What debuggers and `top` call the current thread: ASCII, 15 characters at most.
void name_this_thread(const char* name);

}  // namespace torchbed
