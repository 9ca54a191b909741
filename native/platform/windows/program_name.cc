// The path of the Python executable in wide characters: UTF-16, which is what Windows itself has.
#include "../common/program_name.hpp"

#include <cwchar>

#include "wide_text.hpp"

namespace torchbed {

wchar_t* program_name(const std::string& path) {
  const std::wstring wide = to_wide(path);
  if (wide.empty()) return nullptr;
  auto* name = new wchar_t[wide.size() + 1];
  std::wmemcpy(name, wide.c_str(), wide.size() + 1);
  return name;
}

}  // namespace torchbed
