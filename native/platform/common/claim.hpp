// Which copy of this library runs the process's Python.
#pragma once

namespace torchbed {

/// True for the first that asks in this process, however many copies of the library are in it. Py_IsInitialized()
/// alone is false until a start is over, and two that begin at once would meet inside of it. Any thread.
bool claim_python();

}  // namespace torchbed
