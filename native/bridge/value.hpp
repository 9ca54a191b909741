// The value tree: what a result is on its way from Python to JavaScript, owned by neither runtime.
//
// docs/reference/values.md is the table of what becomes what.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace torchbed {

/// Deepest nesting of lists and dicts that may cross, in levels. Cycles end here too.
inline constexpr int kMaxDepth = 128;

struct None {};

/// An integer beyond 64 bits: sign and magnitude, least significant word first.
struct BigInteger {
  bool negative = false;
  std::vector<uint64_t> words;
};

struct Bytes {
  std::string data;
};

class Value;
using List = std::vector<Value>;
using Entries = std::vector<std::pair<Value, Value>>;

struct Dict {
  Entries entries;
};

/// Move-only by habit: trees are built once, handed over, and read once.
/// Text is UTF-8, or UTF-16 where it has lone surrogates.
class Value {
 public:
  using Variant = std::variant<None, bool, int64_t, BigInteger, double, std::string, std::u16string,
                               Bytes, List, Dict>;

  Value() = default;
  template <typename T>
  explicit Value(T content) : content_(std::move(content)) {}

  Value(Value&&) noexcept = default;
  Value& operator=(Value&&) noexcept = default;
  Value(const Value&) = delete;
  Value& operator=(const Value&) = delete;
  ~Value() = default;

  [[nodiscard]] const Variant& content() const { return content_; }

 private:
  Variant content_;
};

}  // namespace torchbed
