// The C library that Python uses on Windows.
#pragma once

#include "windows.hpp"

namespace torchbed {

/// A function of the universal C runtime, which CPython links: it has an environment and signal handlers of its
/// own, and node.exe and this library may each have another. Null when the process has not loaded it.
template <typename Function>
Function python_crt(const char* name) {
  HMODULE crt = GetModuleHandleW(L"ucrtbase.dll");
  if (crt == nullptr) return nullptr;
  return reinterpret_cast<Function>(reinterpret_cast<void*>(GetProcAddress(crt, name)));
}

}  // namespace torchbed
