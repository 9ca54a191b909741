// Ending what Python's thread waits for: the event that CPython's waits on Windows look at, as at Ctrl-C.
#include "../common/interrupts.hpp"

#include <atomic>
#include <csignal>

#include "../../bridge/python.hpp"
#include "windows.hpp"

namespace torchbed {
namespace {

std::atomic<DWORD> python_thread{0};

using Event = void*(__cdecl*)();

/// Not in the stable ABI: looked up in the library that Python's functions come from.
HANDLE sigint_event() {
  HMODULE python = nullptr;
  const auto flags =
      GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
  const auto* address = reinterpret_cast<LPCWSTR>(reinterpret_cast<void*>(&PyErr_SetInterruptEx));
  if (GetModuleHandleExW(flags, address, &python) == 0) return nullptr;
  const auto event =
      reinterpret_cast<Event>(reinterpret_cast<void*>(GetProcAddress(python, "_PyOS_SigintEvent")));
  return event == nullptr ? nullptr : static_cast<HANDLE>(event());
}

}  // namespace

// One of the six that the C library knows, and the one that no Python code handles. Only Python's own table of
// handlers is used: share_signal() gives the C library's handler back.
int interrupt_signal() { return SIGILL; }

int stack_signal() { return 0; }

void set_stack_pipe(int /*descriptor*/) {}

std::string python_stack() { return ""; }

void remember_python_thread() { python_thread.store(GetCurrentThreadId()); }

bool is_python_thread() { return GetCurrentThreadId() == python_thread.load(); }

void interrupt_wait() {
  static const HANDLE event = sigint_event();
  if (event != nullptr) SetEvent(event);
}

}  // namespace torchbed
