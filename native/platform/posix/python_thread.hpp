// The thread that runs Python, as a place to send signals to.
#pragma once

namespace torchbed {

/// False before Python has a thread. Any thread, also in a signal handler.
bool signal_python_thread(int number);

}  // namespace torchbed
