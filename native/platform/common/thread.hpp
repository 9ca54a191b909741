// Detached threads with a stack of a given size.
#pragma once

#include <cstddef>
#include <functional>

namespace torchbed {

/// Runs `body` on a new detached thread. False if the system gives none. Any thread.
bool start_detached_thread(std::size_t stack_bytes, std::function<void()> body);

/// What debuggers and `top` call the current thread: ASCII, 15 characters at most.
void name_this_thread(const char* name);

}  // namespace torchbed
