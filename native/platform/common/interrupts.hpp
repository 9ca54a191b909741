// Ending what Python's thread waits for: the signal of a cancel.
#pragma once

namespace torchbed {

/// The signal for which Python gets a handler that ends the running call: one that neither Node.js nor, as a
/// rule, anybody's Python code uses.
int interrupt_signal();

/// On the thread that runs Python, before anything below is called.
void remember_python_thread();

/// Any thread, also in a signal handler.
bool is_python_thread();

/// Ends a system call that Python's thread waits in; Python then runs its handler of interrupt_signal() before it
/// waits again. It may come just before the wait begins, and then ends nothing: call it again. Any thread.
void interrupt_wait();

}  // namespace torchbed
