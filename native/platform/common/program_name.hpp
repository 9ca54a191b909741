// The path of the Python executable as Python wants it: in wide characters.
#pragma once

#include <string>

namespace torchbed {

/// Before Python is initialised, on its thread. `path` is UTF-8, as JavaScript has it. Null when it
/// cannot be decoded; never freed, as Python keeps the pointer.
///
/// Turns Python's UTF-8 mode on in the C locale, where names beyond ASCII would else be full of
/// surrogates, which torch for one refuses.
wchar_t* program_name(const std::string& path);

}  // namespace torchbed
