// Ending what Python's thread waits for: the signal of a cancel.
#pragma once

#include <string>

namespace torchbed {

/// The signal for which Python gets a handler that ends the running call: one that neither Node.js nor, as a
/// rule, anybody's Python code uses.
int interrupt_signal();

/// The signal at which Python's thread writes its stack, with or without the GIL, into the pipe of
/// set_stack_pipe(); zero where there is none.
int stack_signal();

/// The end to read from. Any thread.
void set_stack_pipe(int descriptor);

/// The stack of Python's thread as faulthandler writes it, the innermost frame first. Waits for some milliseconds;
/// empty when that was not enough, or the system has no such signal. Any thread that does not hold the GIL.
std::string python_stack();

/// On the thread that runs Python, before anything below is called.
void remember_python_thread();

/// Any thread, also in a signal handler.
bool is_python_thread();

/// Ends a system call that Python's thread waits in; Python then runs its handler of interrupt_signal() before it
/// waits again. It may come just before the wait begins, and then ends nothing: call it again. Any thread.
void interrupt_wait();

}  // namespace torchbed
