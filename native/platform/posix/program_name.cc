// The path of the Python executable in wide characters.
#include "../common/program_name.hpp"

#include <dlfcn.h>
#include <langinfo.h>

#include <clocale>
#include <cstdint>
#include <cstring>
#include <string>

#include "../../bridge/python.hpp"

namespace torchbed {
namespace {

static_assert(sizeof(wchar_t) >= sizeof(char32_t), "wide characters are taken for code points");

/// Turns on Python's UTF-8 mode (PEP 540), as the python command does by itself in the C locale and
/// an embedded Python does not. Looked up, as the flag is no part of the stable ABI; false where this
/// Python has none.
bool enable_utf8_mode() {
  auto* flag = static_cast<int*>(dlsym(RTLD_DEFAULT, "Py_UTF8Mode"));
  if (flag == nullptr) return false;
  *flag = 1;
  return true;
}

/// Whether Python will take the file system's names for UTF-8.
bool names_are_utf8() {
  const char* codeset = nl_langinfo(CODESET);
  if (std::strcmp(codeset, "UTF-8") == 0) return true;
  // What the C locale says of itself in glibc, musl and macOS.
  for (const char* ascii : {"ANSI_X3.4-1968", "ASCII", "US-ASCII"}) {
    if (std::strcmp(codeset, ascii) == 0) return enable_utf8_mode();
  }
  return false;
}

/// False when the text is no UTF-8. JavaScript gives well-formed text, so overlong forms are not
/// looked for.
bool decode_utf8(const std::string& text, std::wstring& wide) {
  for (std::size_t at = 0; at < text.size();) {
    const auto lead = static_cast<uint8_t>(text[at++]);
    const int more = lead < 0x80 ? 0 : lead < 0xC0 ? -1 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    if (more < 0 || at + static_cast<std::size_t>(more) > text.size()) return false;
    char32_t code = more == 0 ? lead : lead & (0x3F >> more);
    for (int i = 0; i < more; ++i) {
      const auto next = static_cast<uint8_t>(text[at++]);
      if ((next & 0xC0) != 0x80) return false;
      code = (code << 6) | (next & 0x3F);
    }
    wide.push_back(static_cast<wchar_t>(code));
  }
  return true;
}

}  // namespace

wchar_t* program_name(const std::string& path) {
  // As Python itself does a moment later.
  std::setlocale(LC_CTYPE, "");
  std::wstring wide;
  if (names_are_utf8() && decode_utf8(path, wide)) {
    auto* name = new wchar_t[wide.size() + 1];
    std::memcpy(name, wide.c_str(), (wide.size() + 1) * sizeof(wchar_t));
    return name;
  }
  return Py_DecodeLocale(path.c_str(), nullptr);
}

}  // namespace torchbed
