// Opening shared libraries: LoadLibraryExW.
#include "../common/shared_library.hpp"

#include "wide_text.hpp"
#include "windows.hpp"

namespace torchbed {
namespace {

std::string last_error(const std::string& path) {
  const DWORD code = GetLastError();
  wchar_t* text = nullptr;
  const DWORD size = FormatMessageW(
      FORMAT_MESSAGE_ALLOCATE_BUFFER | FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS,
      nullptr, code, 0, reinterpret_cast<wchar_t*>(&text), 0, nullptr);
  std::wstring reason(text == nullptr ? L"" : text, size);
  LocalFree(text);
  while (!reason.empty() && (reason.back() == L'\n' || reason.back() == L'\r')) reason.pop_back();
  return path + ": " + from_wide(reason) + " (Windows error " + std::to_string(code) + ")";
}

}  // namespace

void* open_library(const std::string& path, Scope /*scope*/) {
  // With the folder of the library, not of node.exe, as the first place for what it needs itself.
  HMODULE handle = LoadLibraryExW(to_wide(path).c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH);
  if (handle == nullptr) throw LibraryError(last_error(path));
  return handle;
}

void* find_symbol(void* library, const char* name) {
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name));
}

// An import names a library without its folder, and one of that name that is loaded already is taken: the
// bridge's import of python3.dll, and python3.dll's own of python3XX.dll, then mean these two and no others
// on PATH.
void open_python(const std::string& libpython) {
  open_library(libpython, Scope::kGlobal);
  open_library(libpython.substr(0, libpython.find_last_of("\\/") + 1) + "python3.dll",
               Scope::kGlobal);
}

void keep_this_library() {
  HMODULE self = nullptr;
  GetModuleHandleExW(
      GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
      reinterpret_cast<const wchar_t*>(reinterpret_cast<const void*>(&keep_this_library)), &self);
}

}  // namespace torchbed
