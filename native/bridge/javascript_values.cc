// JavaScript values to the value tree and back.
#include "javascript_values.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string_view>

#include "place.hpp"

namespace torchbed {
namespace {

/// Up to here, either side of zero, a JavaScript number holds every whole number exactly.
constexpr double kMaxSafeInteger = 9007199254740991.0;

/// From this depth on, in levels, every object is compared with those around it.
constexpr int kCycleCheckDepth = 8;

/// Node-API reports a JavaScript exception, or misuse, by status; either becomes a C++ exception.
void check(Napi::Env env, napi_status status) {
  if (status != napi_ok) throw Napi::Error::New(env);
}

class FromJavascript {
 public:
  FromJavascript(Napi::Env env, const Intrinsics& intrinsics, const Lend& lend)
      : env_(env), intrinsics_(intrinsics), lend_(lend) {}

  // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth
  Value convert(napi_value value, const Place& place) {
    napi_valuetype type = napi_undefined;
    check(env_, napi_typeof(env_, value, &type));
    switch (type) {
      case napi_undefined:
      case napi_null:
        return Value(None{});
      case napi_boolean: {
        bool truth = false;
        check(env_, napi_get_value_bool(env_, value, &truth));
        return Value(truth);
      }
      case napi_number:
        return number(value);
      case napi_bigint:
        return bigint(value);
      case napi_string:
        return Value(text(value));
      case napi_symbol:
        throw ConversionError("a symbol cannot be passed to Python", place);
      case napi_function:
        throw ConversionError("a function cannot be passed to Python", place);
      case napi_external:
        throw ConversionError("a native object cannot be passed to Python", place);
      case napi_object:
        return object(value, place);
    }
    throw ConversionError("a value of unknown type cannot be passed to Python", place);
  }

 private:
  Value number(napi_value value) const {
    double number = 0;
    check(env_, napi_get_value_double(env_, value, &number));
    const bool whole = std::trunc(number) == number && std::abs(number) <= kMaxSafeInteger;
    if (whole && !(number == 0 && std::signbit(number))) {
      return Value(static_cast<int64_t>(number));
    }
    return Value(number);
  }

  Value bigint(napi_value value) const {
    int64_t small = 0;
    bool lossless = false;
    check(env_, napi_get_value_bigint_int64(env_, value, &small, &lossless));
    if (lossless) return Value(small);
    std::size_t count = 0;
    check(env_, napi_get_value_bigint_words(env_, value, nullptr, &count, nullptr));
    BigInteger big;
    big.words.resize(count);
    int sign = 0;
    check(env_, napi_get_value_bigint_words(env_, value, &sign, &count, big.words.data()));
    big.negative = sign != 0;
    return Value(std::move(big));
  }

  std::u16string text(napi_value value) const {
    std::array<char16_t, 256> small{};
    std::size_t length = 0;
    check(env_, napi_get_value_string_utf16(env_, value, small.data(), small.size(), &length));
    if (length + 1 < small.size()) return {small.data(), length};
    check(env_, napi_get_value_string_utf16(env_, value, nullptr, 0, &length));
    std::u16string large(length, u'\0');
    // The call writes a terminator behind the text, where std::u16string keeps its own.
    check(env_, napi_get_value_string_utf16(env_, value, large.data(), length + 1, &length));
    return large;
  }

  // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth
  Value object(napi_value value, const Place& place) {
    enter(value, place);
    Value converted = composite(value, place);
    ancestors_.pop_back();
    return converted;
  }

  /// Refuses what is too deep and what contains itself.
  void enter(napi_value value, const Place& place) {
    if (place.depth() >= kMaxDepth) {
      throw ConversionError("nested deeper than " + std::to_string(kMaxDepth) + " levels", place);
    }
    // Ordinary data is shallow: it is spared the comparisons, and a cycle is met a little later.
    if (place.depth() >= kCycleCheckDepth) {
      for (napi_value ancestor : ancestors_) {
        bool same = false;
        check(env_, napi_strict_equals(env_, ancestor, value, &same));
        if (same) throw ConversionError("an object that contains itself cannot be passed", place);
      }
    }
    ancestors_.push_back(value);
  }

  // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth
  Value composite(napi_value value, const Place& place) {
    bool is_array = false;
    check(env_, napi_is_array(env_, value, &is_array));
    if (is_array) return list(value, place);
    if (is_plain(value)) return plain_object(value, place);
    if (Bytes bytes; is_bytes(value, place, bytes)) return Value(std::move(bytes));
    if (is_instance(value, intrinsics_.map)) return map(value, place);
    if (is_instance(value, intrinsics_.py_float)) return py_float(value, place);
    if (is_instance(value, intrinsics_.lent_buffer)) {
      return Value(lend_(Napi::Object(env_, value), place));
    }
    bool is_date = false;
    check(env_, napi_is_date(env_, value, &is_date));
    if (is_date) return date(value, place);
    throw ConversionError(
        "an instance of " + class_name(value) +
            " cannot be passed to Python; pass a plain object, an array, a Map or "
            "a Uint8Array instead",
        place);
  }

  // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth
  Value list(napi_value value, const Place& place) {
    uint32_t length = 0;
    check(env_, napi_get_array_length(env_, value, &length));
    List items;
    items.reserve(length);
    for (uint32_t i = 0; i < length; ++i) {
      const Napi::HandleScope scope(env_);
      napi_value item = nullptr;
      check(env_, napi_get_element(env_, value, i, &item));
      items.push_back(convert(item, Place(place, i)));
    }
    return Value(std::move(items));
  }

  /// An object whose prototype is null or some realm's Object.prototype.
  bool is_plain(napi_value value) const {
    napi_value prototype = nullptr;
    check(env_, napi_get_prototype(env_, value, &prototype));
    if (is_null(prototype)) return true;
    napi_value above = nullptr;
    check(env_, napi_get_prototype(env_, prototype, &above));
    return is_null(above);
  }

  bool is_null(napi_value value) const {
    napi_valuetype type = napi_undefined;
    check(env_, napi_typeof(env_, value, &type));
    return type == napi_null;
  }

  bool is_instance(napi_value value, const Napi::FunctionReference& constructor) const {
    bool result = false;
    check(env_, napi_instanceof(env_, value, constructor.Value(), &result));
    return result;
  }

  // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth
  Value plain_object(napi_value value, const Place& place) {
    napi_value names = nullptr;
    check(env_, napi_get_all_property_names(
                    env_, value, napi_key_own_only,
                    static_cast<napi_key_filter>(napi_key_enumerable | napi_key_skip_symbols),
                    napi_key_numbers_to_strings, &names));
    uint32_t count = 0;
    check(env_, napi_get_array_length(env_, names, &count));
    Dict dict;
    dict.entries.reserve(count);
    for (uint32_t i = 0; i < count; ++i) {
      const Napi::HandleScope scope(env_);
      napi_value name = nullptr;
      check(env_, napi_get_element(env_, names, i, &name));
      napi_value item = nullptr;
      check(env_, napi_get_property(env_, value, name, &item));
      napi_valuetype type = napi_undefined;
      check(env_, napi_typeof(env_, item, &type));
      // As in JSON.stringify: a property that is undefined is a property that is absent.
      if (type == napi_undefined) continue;
      Value key(text(name));
      Value converted = convert(item, Place(place, key));
      dict.entries.emplace_back(std::move(key), std::move(converted));
    }
    return Value(std::move(dict));
  }

  // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth
  Value map(napi_value value, const Place& place) {
    const Napi::Value pairs = intrinsics_.array_from.Call({value});
    uint32_t count = 0;
    check(env_, napi_get_array_length(env_, pairs, &count));
    Dict dict;
    dict.entries.reserve(count);
    for (uint32_t i = 0; i < count; ++i) {
      const Napi::HandleScope scope(env_);
      napi_value pair = nullptr;
      napi_value name = nullptr;
      napi_value item = nullptr;
      check(env_, napi_get_element(env_, pairs, i, &pair));
      check(env_, napi_get_element(env_, pair, 0, &name));
      check(env_, napi_get_element(env_, pair, 1, &item));
      Value key = map_key(name, place);
      Value converted = convert(item, Place(place, key));
      dict.entries.emplace_back(std::move(key), std::move(converted));
    }
    return Value(std::move(dict));
  }

  Value map_key(napi_value key, const Place& place) {
    napi_valuetype type = napi_undefined;
    check(env_, napi_typeof(env_, key, &type));
    switch (type) {
      case napi_null:
      case napi_boolean:
      case napi_number:
      case napi_bigint:
      case napi_string:
        return convert(key, place);
      default:
        throw ConversionError(
            "a Map key must be a string, number, bigint, boolean or null to become a dict key",
            place);
    }
  }

  Value py_float(napi_value value, const Place& place) const {
    const Napi::Value number = Napi::Object(env_, value).Get("value");
    if (!number.IsNumber()) throw ConversionError("a PyFloat must hold a number", place);
    return Value(number.As<Napi::Number>().DoubleValue());
  }

  /// The text of the formats (spec section 6.1): no fraction when it is zero, else three digits.
  Value date(napi_value value, const Place& place) const {
    double time = 0;
    check(env_, napi_get_date_value(env_, value, &time));
    if (std::isnan(time)) throw ConversionError("an invalid Date cannot be passed", place);
    const Napi::Value iso = intrinsics_.date_to_iso_string.Call(value, {});
    std::u16string timestamp = text(iso);
    constexpr std::u16string_view kWholeSecond = u".000Z";
    const std::size_t fraction = timestamp.size() - std::min(timestamp.size(), kWholeSecond.size());
    if (timestamp.compare(fraction, std::u16string::npos, kWholeSecond) == 0) {
      timestamp.resize(fraction);
      timestamp.push_back(u'Z');
    }
    return Value(std::move(timestamp));
  }

  static char element_format(napi_typedarray_type type, const Place& place) {
    switch (type) {
      case napi_uint8_array:
      case napi_uint8_clamped_array:
        return 'B';
      case napi_int8_array:
        return 'b';
      case napi_int16_array:
        return 'h';
      case napi_uint16_array:
        return 'H';
      case napi_int32_array:
        return 'i';
      case napi_uint32_array:
        return 'I';
      case napi_float32_array:
        return 'f';
      case napi_float64_array:
        return 'd';
      case napi_bigint64_array:
        return 'q';
      case napi_biguint64_array:
        return 'Q';
      default:
        throw ConversionError("this kind of typed array cannot be passed to Python", place);
    }
  }

  /// Fills `bytes` and answers true when `value` is an ArrayBuffer or a view.
  bool is_bytes(napi_value value, const Place& place, Bytes& bytes) const {
    void* data = nullptr;
    std::size_t length = 0;
    napi_value buffer = nullptr;
    bool is = false;
    check(env_, napi_is_typedarray(env_, value, &is));
    if (is) {
      napi_typedarray_type type = napi_uint8_array;
      std::size_t elements = 0;
      check(env_, napi_get_typedarray_info(env_, value, &type, &elements, &data, &buffer, nullptr));
      bytes.format = element_format(type, place);
      length = elements * element_size(type);
    } else {
      check(env_, napi_is_dataview(env_, value, &is));
      if (is) {
        check(env_, napi_get_dataview_info(env_, value, &length, &data, &buffer, nullptr));
      } else {
        check(env_, napi_is_arraybuffer(env_, value, &is));
        if (!is) return false;
        buffer = value;
        check(env_, napi_get_arraybuffer_info(env_, value, &data, &length));
      }
    }
    refuse_detached(buffer, place);
    if (length > 0) bytes.data.assign(static_cast<const char*>(data), length);
    return true;
  }

  void refuse_detached(napi_value buffer, const Place& place) const {
    bool is_buffer = false;
    check(env_, napi_is_arraybuffer(env_, buffer, &is_buffer));
    if (!is_buffer) return;  // A SharedArrayBuffer cannot be detached.
    bool detached = false;
    check(env_, napi_is_detached_arraybuffer(env_, buffer, &detached));
    if (detached) {
      throw ConversionError("this buffer was transferred away and holds no bytes any more", place);
    }
  }

  static std::size_t element_size(napi_typedarray_type type) {
    switch (type) {
      case napi_int16_array:
      case napi_uint16_array:
        return 2;
      case napi_int32_array:
      case napi_uint32_array:
      case napi_float32_array:
        return 4;
      case napi_float64_array:
      case napi_bigint64_array:
      case napi_biguint64_array:
        return 8;
      default:
        return 1;
    }
  }

  std::string class_name(napi_value value) const {
    const Napi::Value constructor = Napi::Object(env_, value).Get("constructor");
    if (!constructor.IsFunction()) return "an unnamed class";
    const Napi::Value name = constructor.As<Napi::Object>().Get("name");
    return name.IsString() ? name.As<Napi::String>().Utf8Value() : "an unnamed class";
  }

  Napi::Env env_;
  const Intrinsics& intrinsics_;
  const Lend& lend_;
  /// The objects around the one being converted, outermost first. Their handles live in outer scopes.
  std::vector<napi_value> ancestors_;
};

class ToJavascript {
 public:
  ToJavascript(Napi::Env env, const Intrinsics& intrinsics) : env_(env), intrinsics_(intrinsics) {}

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

  napi_value create(const std::shared_ptr<Loan>& /*unused*/, const Place& place) const {
    refuse("a lent buffer", place);
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
    return intrinsics_.map.New({pairs});
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
  const Intrinsics& intrinsics_;
};

}  // namespace

Intrinsics::Intrinsics(Napi::Env env) {
  const Napi::Object global = env.Global();
  const auto function = [](const Napi::Object& owner, const char* name) {
    return Napi::Persistent(owner.Get(name).As<Napi::Function>());
  };
  map = function(global, "Map");
  array_from = function(global.Get("Array").As<Napi::Object>(), "from");
  date_to_iso_string = function(
      global.Get("Date").As<Napi::Object>().Get("prototype").As<Napi::Object>(), "toISOString");
}

void Intrinsics::reset() {
  map.Reset();
  array_from.Reset();
  date_to_iso_string.Reset();
  py_float.Reset();
  lent_buffer.Reset();
}

Value from_javascript(Napi::Env env, const Intrinsics& intrinsics, napi_value value,
                      const Lend& lend) {
  return FromJavascript(env, intrinsics, lend).convert(value, Place());
}

napi_value to_javascript(Napi::Env env, const Intrinsics& intrinsics, const Value& value) {
  return ToJavascript(env, intrinsics).convert(value, Place());
}

}  // namespace torchbed
