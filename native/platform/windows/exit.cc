// Leaving the process while Python may still be busy.
//
// Windows ends all other threads when a process exits, and only then tells the libraries, the last loaded first.
// A destructor of torch may then wait indefinitely for a lock that an ended thread holds. torchbed_exit.dll is loaded
// late, so that it is told before torch is.
#include "../common/exit.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "../../bridge/interpreter.hpp"
#include "../common/shared_library.hpp"
#include "wide_text.hpp"
#include "windows.hpp"

namespace torchbed {
namespace {

std::atomic<int> known_status{0};

/// On the last thread there is. Locks of threads that are gone stay locked, so that none is waited for.
void on_process_end() {
  if (Interpreter::instance().is_idle()) return;
  TerminateProcess(GetCurrentProcess(), static_cast<UINT>(known_status.load()));
}

std::string folder_of_this_library() {
  HMODULE self = nullptr;
  GetModuleHandleExW(
      GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
      reinterpret_cast<const wchar_t*>(reinterpret_cast<const void*>(&on_process_end)), &self);
  std::wstring path(32768, L'\0');
  path.resize(GetModuleFileNameW(self, path.data(), static_cast<DWORD>(path.size())));
  const std::string text = from_wide(path);
  return text.substr(0, text.find_last_of("\\/") + 1);
}

}  // namespace

// `grace` has no meaning: there is no thread left to wait for.
void end_without_destructors_if_busy(std::chrono::milliseconds /*grace*/, int status) {
  known_status.store(status);
  try {
    void* library = open_library(folder_of_this_library() + "torchbed_exit.dll", Scope::kLocal);
    using Register = void(__cdecl*)(void(__cdecl*)());
    const auto call_at_end = reinterpret_cast<Register>(find_symbol(library, "torchbed_at_end"));
    if (call_at_end != nullptr) call_at_end(on_process_end);
  } catch (const LibraryError& error) {
    // The process ends all the same, if perhaps not soon.
    std::fprintf(stderr, "torchbed: %s\n", error.what());
  }
}

void leave_without_destructors(int status) {
  std::fflush(nullptr);
  TerminateProcess(GetCurrentProcess(), static_cast<UINT>(status));
  std::abort();  // Not reached: the process ends inside of the call.
}

}  // namespace torchbed
