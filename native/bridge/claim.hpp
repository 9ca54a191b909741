// Which copy of this library runs the process's Python.
#pragma once

#include <atomic>

namespace torchbed {

/// One for the whole process, however many copies of the library are in it: an inline variable of default
/// visibility is unique among all that are loaded. Py_IsInitialized() alone is false until a start is over, and
/// two that begin at once would meet inside of it.
__attribute__((visibility("default"))) inline std::atomic<bool> python_is_claimed{false};

}  // namespace torchbed
