// Parameters on their way to Python: read on the JS thread, built on the interpreter thread.
#include "encoded_value.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

#include "lent_buffer.hpp"

namespace torchbed {
namespace {

/// From this many words on, the garbage collector is paused while objects are built.
constexpr std::size_t kManyWords = 4096;

void check(Napi::Env env, napi_status status) {
  if (status != napi_ok) throw Napi::Error::New(env);
}

bool is_ascii(std::u16string_view text) {
  return std::all_of(text.begin(), text.end(), [](char16_t unit) { return unit < 0x80; });
}

/// Strings up to this many units cross in one step.
constexpr std::size_t kSmallText = 512;

Text read_text(Napi::Env env, napi_value value) {
  std::array<char16_t, kSmallText> small;
  std::size_t units = 0;
  check(env, napi_get_value_string_utf16(env, value, small.data(), small.size(), &units));
  if (units + 1 < small.size()) {
    const std::u16string_view text(small.data(), units);
    if (is_ascii(text)) return std::string(text.begin(), text.end());
    return std::u16string(text);
  }
  std::size_t bytes = 0;
  check(env, napi_get_value_string_utf16(env, value, nullptr, 0, &units));
  check(env, napi_get_value_string_utf8(env, value, nullptr, 0, &bytes));
  // Both calls write a terminator behind the text, where a string keeps its own.
  if (units == bytes) {
    std::string ascii(bytes, '\0');
    check(env, napi_get_value_string_latin1(env, value, ascii.data(), bytes + 1, &bytes));
    return ascii;
  }
  std::u16string utf16(units, u'\0');
  check(env, napi_get_value_string_utf16(env, value, utf16.data(), units + 1, &units));
  return utf16;
}

std::pair<void*, std::size_t> view_of(Napi::Env env, napi_value typed_array) {
  void* data = nullptr;
  std::size_t length = 0;
  check(env, napi_get_typedarray_info(env, typed_array, nullptr, &length, &data, nullptr, nullptr));
  return {data, length};
}

template <typename T>
std::vector<T> read_numbers(Napi::Env env, napi_value typed_array, napi_value count) {
  uint32_t wanted = 0;
  check(env, napi_get_value_uint32(env, count, &wanted));
  if (wanted == 0) return {};
  const auto [data, length] = view_of(env, typed_array);
  if (wanted > length) throw Napi::Error::New(env, "an encoded value ends early");
  const auto* first = static_cast<const T*>(data);
  return {first, first + wanted};
}

EncodedValue::Object read_object(Napi::Env env, napi_value value, const Lend& lend) {
  napi_valuetype type = napi_undefined;
  check(env, napi_typeof(env, value, &type));
  if (type == napi_string) return read_text(env, value);
  bool is_view = false;
  check(env, napi_is_typedarray(env, value, &is_view));
  if (!is_view) return lend(Napi::Object(env, value));
  const auto [data, length] = view_of(env, value);
  EncodedValue::Bytes bytes;
  if (length > 0) bytes.data.assign(static_cast<const char*>(data), length);
  return bytes;
}

// --- to Python ------------------------------------------------------------------------------------

PyObject* python_text(const char* ascii, std::size_t length) {
  return PyUnicode_FromStringAndSize(ascii, static_cast<Py_ssize_t>(length));
}

PyObject* python_text(const char16_t* utf16, std::size_t length) {
  int byte_order = -1;
  return PyUnicode_DecodeUTF16(reinterpret_cast<const char*>(utf16),
                               static_cast<Py_ssize_t>(length * sizeof(char16_t)), "surrogatepass",
                               &byte_order);
}

/// What is built here lives on, so looking for garbage in between is wasted.
class CollectorPause {
 public:
  explicit CollectorPause(bool pause) : resume_(pause && PyGC_Disable() == 1) {}
  CollectorPause(const CollectorPause&) = delete;
  CollectorPause& operator=(const CollectorPause&) = delete;
  ~CollectorPause() {
    if (resume_) PyGC_Enable();
  }

 private:
  const bool resume_;
};

/// Follows the instructions once. Functions return a new reference, or null with an exception set.
class Builder {
 public:
  explicit Builder(EncodedValue& value)
      : word_(value.words.data()), number_(value.numbers.data()), value_(value) {}

  // NOLINTNEXTLINE(misc-no-recursion): no deeper than the value, which its encoder limits
  PyObject* build() {
    const auto op = static_cast<Op>(*word_++);
    const uint32_t argument = *word_++;
    switch (op) {
      case Op::kNone:
        return none();
      case Op::kFalse:
        return PyBool_FromLong(0);
      case Op::kTrue:
        return PyBool_FromLong(1);
      case Op::kInt:
        return PyLong_FromLong(static_cast<int32_t>(argument));
      case Op::kBigInt53:
        return PyLong_FromLongLong(static_cast<int64_t>(*number_++));
      case Op::kInt64:
        return PyLong_FromLongLong(static_cast<int64_t>(uint64_t{*word_++} << 32 | argument));
      case Op::kDigits:
        return digits(argument);
      case Op::kFloat:
        return PyFloat_FromDouble(*number_++);
      case Op::kText:
        return text(argument);
      case Op::kNewKey:
        return new_key(argument);
      case Op::kKey:
        return Py_NewRef(keys_[argument].get());
      case Op::kObject:
        return object(value_.objects[argument]);
      case Op::kBytes:
        return bytes(std::get<EncodedValue::Bytes>(value_.objects[argument]).data,
                     static_cast<char>(*word_++));
      case Op::kList:
        return list(argument);
      case Op::kDict:
        return dict(argument);
    }
    PyErr_SetString(PyExc_SystemError, "unknown instruction in an encoded value");
    return nullptr;
  }

 private:
  static PyObject* none() { return Py_NewRef(Py_None); }

  PyObject* text(std::size_t length) {
    const std::size_t start = std::exchange(text_, text_ + length);
    return std::visit([&](const auto& all) { return python_text(all.data() + start, length); },
                      value_.text);
  }

  PyObject* new_key(std::size_t length) {
    PyRef key = PyRef::take(text(length));
    if (!key) return nullptr;
    keys_.push_back(std::move(key));
    return Py_NewRef(keys_.back().get());
  }

  PyObject* digits(std::size_t length) {
    const PyRef digits = PyRef::take(text(length));
    const char* ascii = digits ? PyUnicode_AsUTF8AndSize(digits.get(), nullptr) : nullptr;
    return ascii == nullptr ? nullptr : PyLong_FromString(ascii, nullptr, 16);
  }

  static PyObject* object(EncodedValue::Object& object) {
    if (auto* loan = std::get_if<std::shared_ptr<Loan>>(&object)) {
      return make_lent_buffer(std::move(*loan)).release();
    }
    return std::visit([](const auto& all) { return python_text(all.data(), all.size()); },
                      std::get<Text>(object));
  }

  static PyObject* bytes(const std::string& data, char format) {
    PyRef plain =
        PyRef::take(PyBytes_FromStringAndSize(data.data(), static_cast<Py_ssize_t>(data.size())));
    if (!plain || format == 'B') return plain.release();
    const PyRef view = PyRef::take(PyMemoryView_FromObject(plain.get()));
    return view ? PyObject_CallMethod(view.get(), "cast", "C", format) : nullptr;
  }

  // NOLINTNEXTLINE(misc-no-recursion): see build()
  PyObject* list(uint32_t count) {
    PyRef list = PyRef::take(PyList_New(count));
    if (!list) return nullptr;
    for (uint32_t i = 0; i < count; ++i) {
      PyObject* item = build();
      if (item == nullptr || PyList_SetItem(list.get(), i, item) != 0) return nullptr;
    }
    return list.release();
  }

  // NOLINTNEXTLINE(misc-no-recursion): see build()
  PyObject* dict(uint32_t count) {
    PyRef dict = PyRef::take(PyDict_New());
    if (!dict) return nullptr;
    for (uint32_t i = 0; i < count; ++i) {
      const PyRef key = PyRef::take(build());
      if (!key) return nullptr;
      const PyRef item = PyRef::take(build());
      if (!item || PyDict_SetItem(dict.get(), key.get(), item.get()) != 0) return nullptr;
    }
    return dict.release();
  }

  const uint32_t* word_;
  const double* number_;
  std::size_t text_ = 0;
  std::vector<PyRef> keys_;
  EncodedValue& value_;
};

}  // namespace

EncodedValue read_encoded(Napi::Env env, const napi_value arguments[6], const Lend& lend) {
  EncodedValue value;
  value.words = read_numbers<uint32_t>(env, arguments[0], arguments[1]);
  value.numbers = read_numbers<double>(env, arguments[2], arguments[3]);
  value.text = read_text(env, arguments[4]);
  uint32_t count = 0;
  check(env, napi_get_array_length(env, arguments[5], &count));
  value.objects.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    const Napi::HandleScope scope(env);
    napi_value object = nullptr;
    check(env, napi_get_element(env, arguments[5], i, &object));
    value.objects.push_back(read_object(env, object, lend));
  }
  return value;
}

PyRef to_python(EncodedValue&& value) {
  const CollectorPause pause(value.words.size() >= kManyWords);
  EncodedValue consumed = std::move(value);
  return PyRef::take(Builder(consumed).build());
}

}  // namespace torchbed
