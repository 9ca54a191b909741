// Signals that Node and Python both handle.
//
// A process has one handler for each signal, and Node's event loop has its own: without SIGCHLD it never learns
// that a child process has ended. Python's signal.signal() would replace it.
#pragma once

namespace torchbed {

/// Before Python changes the handler of a signal: remembers the one that is there. GIL held.
void hold_signal(int number);

/// After Python changed it: where Node had a handler, both are called from now on, or Node's alone when Python
/// went back to the default. Where the default would end the process, it still does. Python's is called on Python's
/// thread, whichever the signal came to, and ends what that waits for. On Windows, where only SIGINT and SIGBREAK
/// concern both, Node's alone is called. GIL held.
void share_signal(int number);

}  // namespace torchbed
