// Parameters on their way to Python: flat, as lib/runtime/embedded/encoded-value.ts makes them.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "python.hpp"

namespace torchbed {

class Loan;

/// Instructions: the first word is one of these, the second its argument. A few have a third.
enum class Op : uint32_t {
  kNone,
  kFalse,
  kTrue,
  kInt,       ///< The argument, signed.
  kBigInt53,  ///< The next of `numbers`, which is whole.
  kInt64,     ///< The argument and a third word, lower half first.
  kDigits,    ///< The next n hexadecimal digits of `text`, sign included.
  kFloat,     ///< The next of `numbers`.
  kText,      ///< The next n units of `text`.
  kNewKey,    ///< As kText, and remembered as the next key.
  kKey,       ///< A remembered key.
  kObject,    ///< One of `objects`.
  kBytes,     ///< One of `objects`; a third word is the struct format of the elements.
  kList,      ///< A list: n values follow.
  kDict,      ///< A dict: n pairs of key and value follow.
};

/// Text in whichever form holds it: one byte a unit when all of it is ASCII, else UTF-16.
using Text = std::variant<std::string, std::u16string>;

struct EncodedValue {
  struct Bytes {
    std::string data;
  };
  using Object = std::variant<Text, Bytes, std::shared_ptr<Loan>>;

  std::vector<uint32_t> words;
  std::vector<double> numbers;
  Text text;
  std::vector<Object> objects;
};

/// Lends the ArrayBuffer of a `LentBuffer`.
using Lend = std::function<std::shared_ptr<Loan>(const Napi::Object& lent_buffer)>;

/// JS thread. Copies all that JavaScript could change; `arguments` are words, how many of them,
/// numbers, how many of them, text and objects. Throws Napi::Error.
EncodedValue read_encoded(Napi::Env env, const napi_value arguments[6], const Lend& lend);

/// GIL held. Null with a Python exception set when there is no memory.
PyRef to_python(EncodedValue&& value);

}  // namespace torchbed
