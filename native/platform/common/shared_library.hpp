// Opening shared libraries for as long as the process lives.
#pragma once

#include <stdexcept>
#include <string>

namespace torchbed {

/// The system's own words for why a library was not opened.
struct LibraryError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Whether libraries that are opened later may resolve their symbols from this one (POSIX; on Windows
/// symbols are bound to the name of a library, and both mean the same).
enum class Scope { kGlobal, kLocal };

/// `path` is absolute and UTF-8. Never closed again. Any thread. Throws LibraryError.
void* open_library(const std::string& path, Scope scope);

/// Null when the library has no such symbol. Any thread.
void* find_symbol(void* library, const char* name);

/// Opens the interpreter's library so that the bridge and every extension module find its symbols: for all of
/// the process on POSIX; on Windows with the python3.dll beside it, which the stable ABI is imported from.
void open_python(const std::string& libpython);

/// Keeps the library that holds this function from being unmapped: Node closes an addon when the last
/// environment that loaded it ends, and threads of ours outlive all of them.
void keep_this_library();

}  // namespace torchbed
