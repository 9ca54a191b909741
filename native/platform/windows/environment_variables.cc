// Environment variables: those of the process, and Python's C library's copy of them.
#include "../common/environment_variables.hpp"

#include "python_crt.hpp"
#include "wide_text.hpp"

namespace torchbed {
namespace {

void put(const std::wstring& name, const std::wstring& value) {
  SetEnvironmentVariableW(name.c_str(), value.empty() ? nullptr : value.c_str());
  const auto copy = python_crt<int(__cdecl*)(const wchar_t*, const wchar_t*)>("_wputenv_s");
  if (copy != nullptr) copy(name.c_str(), value.c_str());
}

}  // namespace

void set_environment_variable(const std::string& name, const std::string& value) {
  put(to_wide(name), to_wide(value));
}

void remove_environment_variable(const std::string& name) { put(to_wide(name), L""); }

}  // namespace torchbed
