// Renders a place inside a value as text.
#include "place.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace torchbed {
namespace {

/// Lossy: a lone surrogate becomes U+FFFD. Enough for a message.
std::string utf8_from(std::u16string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char32_t code = text[i];
    const bool high = code >= 0xD800 && code < 0xDC00;
    if (high && i + 1 < text.size() && text[i + 1] >= 0xDC00 && text[i + 1] < 0xE000) {
      code = 0x10000 + ((code - 0xD800) << 10) + (text[++i] - 0xDC00);
    } else if (code >= 0xD800 && code < 0xE000) {
      code = 0xFFFD;
    }
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xC0 | (code >> 6));
      out += static_cast<char>(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      out += static_cast<char>(0xE0 | (code >> 12));
      out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
      out += static_cast<char>(0x80 | (code & 0x3F));
    } else {
      out += static_cast<char>(0xF0 | (code >> 18));
      out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
      out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
      out += static_cast<char>(0x80 | (code & 0x3F));
    }
  }
  return out;
}

bool is_identifier(const std::string& text) {
  const auto part = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '$'; };
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) == 0 &&
         std::all_of(text.begin(), text.end(), part);
}

std::string key_text(const Value& key, bool outermost) {
  std::string text;
  if (const auto* utf8 = std::get_if<std::string>(&key.content())) {
    text = *utf8;
  } else if (const auto* utf16 = std::get_if<std::u16string>(&key.content())) {
    text = utf8_from(*utf16);
  } else if (const auto* integer = std::get_if<int64_t>(&key.content())) {
    return "[" + std::to_string(*integer) + "]";
  } else {
    return "[<key>]";
  }
  if (is_identifier(text)) return outermost ? text : "." + text;
  return "[\"" + text + "\"]";
}

}  // namespace

std::string Place::text() const {
  if (outer_ == nullptr) return "";
  std::string text = outer_->text();
  if (key_ == nullptr) return text + "[" + std::to_string(index_) + "]";
  return text + key_text(*key_, text.empty());
}

}  // namespace torchbed
