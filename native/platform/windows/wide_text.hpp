// UTF-8, as JavaScript gives text, to the UTF-16 that Windows wants, and back.
#pragma once

#include <string>

#include "windows.hpp"

namespace torchbed {

/// Empty when the text is no UTF-8.
inline std::wstring to_wide(const std::string& text) {
  const auto size = static_cast<int>(text.size());
  const int units =
      MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.data(), size, nullptr, 0);
  std::wstring wide(static_cast<std::size_t>(units), L'\0');
  MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.data(), size, wide.data(), units);
  return wide;
}

/// Lone surrogates become U+FFFD.
inline std::string from_wide(const std::wstring& wide) {
  const auto size = static_cast<int>(wide.size());
  const int bytes =
      WideCharToMultiByte(CP_UTF8, 0, wide.data(), size, nullptr, 0, nullptr, nullptr);
  std::string text(static_cast<std::size_t>(bytes), '\0');
  WideCharToMultiByte(CP_UTF8, 0, wide.data(), size, text.data(), bytes, nullptr, nullptr);
  return text;
}

}  // namespace torchbed
