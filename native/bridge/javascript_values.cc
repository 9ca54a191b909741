// The value tree to JavaScript values.
#include "javascript_values.hpp"

#include <cstring>
#include <string>

#include "place.hpp"

namespace torchbed {
namespace {

/// Node-API reports a JavaScript exception, or misuse, by status; either becomes a C++ exception.
void check(Napi::Env env, napi_status status) {
  if (status != napi_ok) throw Napi::Error::New(env);
}

class ToJavascript {
 public:
  ToJavascript(Napi::Env env, const Napi::FunctionReference& map) : env_(env), map_(map) {}

  // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth when the tree was built
  napi_value convert(const Value& value, const Place& place) const {
    return std::visit([&](const auto& content) { return create(content, place); }, value.content());
  }

 private:
  napi_value create(None /*unused*/, const Place& /*unused*/) const { return env_.Null(); }

  napi_value create(bool truth, const Place& /*unused*/) const {
    return Napi::Boolean::New(env_, truth);
  }

  napi_value create(int64_t integer, const Place& /*unused*/) const {
    return Napi::BigInt::New(env_, integer);
  }

  napi_value create(const BigInteger& big, const Place& place) const {
    napi_value result = nullptr;
    const napi_status status = napi_create_bigint_words(
        env_, big.negative ? 1 : 0, big.words.size(), big.words.data(), &result);
    if (status != napi_ok) refuse("an int beyond the largest bigint", place);
    return result;
  }

  napi_value create(double number, const Place& /*unused*/) const {
    return Napi::Number::New(env_, number);
  }

  napi_value create(const std::string& utf8, const Place& place) const {
    napi_value result = nullptr;
    if (napi_create_string_utf8(env_, utf8.data(), utf8.size(), &result) != napi_ok) {
      refuse("a str beyond the longest string", place);
    }
    return result;
  }

  napi_value create(const std::u16string& utf16, const Place& place) const {
    napi_value result = nullptr;
    if (napi_create_string_utf16(env_, utf16.data(), utf16.size(), &result) != napi_ok) {
      refuse("a str beyond the longest string", place);
    }
    return result;
  }

  napi_value create(const Bytes& bytes, const Place& place) const {
    void* data = nullptr;
    napi_value buffer = nullptr;
    if (napi_create_arraybuffer(env_, bytes.data.size(), &data, &buffer) != napi_ok) {
      refuse("bytes beyond the largest ArrayBuffer", place);
    }
    if (!bytes.data.empty()) std::memcpy(data, bytes.data.data(), bytes.data.size());
    napi_value view = nullptr;
    check(env_,
          napi_create_typedarray(env_, napi_uint8_array, bytes.data.size(), buffer, 0, &view));
    return view;
  }

  // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth when the tree was built
  napi_value create(const List& items, const Place& place) const {
    napi_value array = nullptr;
    check(env_, napi_create_array_with_length(env_, items.size(), &array));
    for (std::size_t i = 0; i < items.size(); ++i) {
      const Napi::HandleScope scope(env_);
      check(env_, napi_set_element(env_, array, static_cast<uint32_t>(i),
                                   convert(items[i], Place(place, i))));
    }
    return array;
  }

  // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth when the tree was built
  napi_value create(const Dict& dict, const Place& place) const {
    for (const auto& [key, item] : dict.entries) {
      if (!is_text(key)) return map(dict, place);
    }
    napi_value object = nullptr;
    check(env_, napi_create_object(env_, &object));
    for (const auto& [key, item] : dict.entries) {
      const Napi::HandleScope scope(env_);
      napi_value name = convert(key, place);
      napi_value content = convert(item, Place(place, key));
      // Defined, not set: a key named __proto__ must stay a key.
      napi_property_descriptor property{};
      property.name = name;
      property.value = content;
      property.attributes = napi_default_jsproperty;
      if (is_proto(key)) {
        check(env_, napi_define_properties(env_, object, 1, &property));
      } else {
        check(env_, napi_set_property(env_, object, name, content));
      }
    }
    return object;
  }

  // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth when the tree was built
  napi_value map(const Dict& dict, const Place& place) const {
    napi_value pairs = nullptr;
    check(env_, napi_create_array_with_length(env_, dict.entries.size(), &pairs));
    uint32_t index = 0;
    for (const auto& [key, item] : dict.entries) {
      const Napi::HandleScope scope(env_);
      napi_value pair = nullptr;
      check(env_, napi_create_array_with_length(env_, 2, &pair));
      check(env_, napi_set_element(env_, pair, 0, convert(key, place)));
      check(env_, napi_set_element(env_, pair, 1, convert(item, Place(place, key))));
      check(env_, napi_set_element(env_, pairs, index++, pair));
    }
    const Napi::Object map = map_.New({pairs});
    if (map.Get("size").As<Napi::Number>().Uint32Value() != dict.entries.size()) {
      refuse("a dict with two keys that are the same key in a Map, as two NaN are,", place);
    }
    return map;
  }

  static bool is_text(const Value& key) {
    return std::holds_alternative<std::string>(key.content()) ||
           std::holds_alternative<std::u16string>(key.content());
  }

  static bool is_proto(const Value& key) {
    const auto* text = std::get_if<std::string>(&key.content());
    return text != nullptr && *text == "__proto__";
  }

  [[noreturn]] void refuse(const std::string& what, const Place& place) const {
    if (env_.IsExceptionPending()) (void)env_.GetAndClearPendingException();
    throw ConversionError(what + " cannot be passed to JavaScript", place);
  }

  Napi::Env env_;
  const Napi::FunctionReference& map_;
};

}  // namespace

napi_value to_javascript(Napi::Env env, const Napi::FunctionReference& map, const Value& value) {
  return ToJavascript(env, map).convert(value, Place());
}

}  // namespace torchbed
