// Which copy of this library runs the process's Python: they share a name, as libraries have no variables in common.
#include "../common/claim.hpp"

#include <string>

#include "windows.hpp"

namespace torchbed {

bool claim_python() {
  const std::wstring name = L"Local\\torchbed-python-" + std::to_wstring(GetCurrentProcessId());
  // Held until the process ends, and gone with it.
  const HANDLE claim = CreateMutexW(nullptr, FALSE, name.c_str());
  return claim != nullptr && GetLastError() != ERROR_ALREADY_EXISTS;
}

}  // namespace torchbed
