// Python objects to the value tree.
#include "python_values.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <set>
#include <string>

#include "lent_buffer.hpp"
#include "place.hpp"

namespace torchbed {
namespace {

PyRef checked(PyObject* object) {
  if (object == nullptr) throw PythonErrorSet{};
  return PyRef::take(object);
}

/// `module.name` of the object's class, without `builtins.`.
std::string class_name(PyObject* object) {
  auto* type = reinterpret_cast<PyObject*>(Py_TYPE(object));
  const auto attribute = [type](const char* name) -> std::string {
    const PyRef text = PyRef::take(PyObject_GetAttrString(type, name));
    const char* utf8 = text && PyUnicode_Check(text.get()) != 0
                           ? PyUnicode_AsUTF8AndSize(text.get(), nullptr)
                           : nullptr;
    PyErr_Clear();
    return utf8 == nullptr ? "?" : utf8;
  };
  const std::string module = attribute("__module__");
  const std::string name = attribute("__qualname__");
  return module == "builtins" ? name : module + "." + name;
}

class FromPython {
 public:
  // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth
  Value convert(PyObject* object, const Place& place) {
    if (object == Py_None) return Value(None{});
    if (PyBool_Check(object) != 0) return Value(object == Py_True);
    if (PyLong_Check(object) != 0) return integer(object);
    if (PyFloat_Check(object) != 0) return Value(PyFloat_AsDouble(object));
    if (PyUnicode_Check(object) != 0) return text(object);
    if (PyBytes_Check(object) != 0 || PyByteArray_Check(object) != 0 ||
        PyMemoryView_Check(object) != 0) {
      return bytes(object, place);
    }
    if (PyList_Check(object) != 0 || PyTuple_Check(object) != 0) return list(object, place);
    if (PyDict_Check(object) != 0) return dict(object, place);
    if (const PyRef plain = numpy_scalar_item(object)) return convert(plain.get(), place);
    throw ConversionError(
        "a " + class_name(object) + " cannot be passed to JavaScript" + remedy(object), place);
  }

 private:
  static Value integer(PyObject* object) {
    int overflow = 0;
    const long long small = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow == 0) {
      if (small == -1 && PyErr_Occurred() != nullptr) throw PythonErrorSet{};
      return Value(static_cast<int64_t>(small));
    }
    BigInteger big;
    big.negative = overflow < 0;
    const PyRef magnitude = checked(PyNumber_Absolute(object));
    const PyRef bit_length = checked(PyObject_CallMethod(magnitude.get(), "bit_length", nullptr));
    const std::size_t bits = PyLong_AsSize_t(bit_length.get());
    big.words.resize((bits + 63) / 64);
    const auto size = static_cast<Py_ssize_t>(big.words.size() * sizeof(uint64_t));
    const PyRef raw =
        checked(PyObject_CallMethod(magnitude.get(), "to_bytes", "ns", size, "little"));
    std::memcpy(big.words.data(), PyBytes_AsString(raw.get()), static_cast<std::size_t>(size));
    return Value(std::move(big));
  }

  static Value text(PyObject* object) {
    Py_ssize_t size = 0;
    if (const char* utf8 = PyUnicode_AsUTF8AndSize(object, &size)) {
      return Value(std::string(utf8, static_cast<std::size_t>(size)));
    }
    // Lone surrogates have no UTF-8, and JavaScript strings may hold them as they are.
    PyErr_Clear();
    const PyRef raw = checked(PyUnicode_AsEncodedString(object, "utf-16-le", "surrogatepass"));
    std::u16string utf16(static_cast<std::size_t>(PyBytes_Size(raw.get())) / sizeof(char16_t),
                         u'\0');
    std::memcpy(utf16.data(), PyBytes_AsString(raw.get()), utf16.size() * sizeof(char16_t));
    return Value(std::move(utf16));
  }

  static Value bytes(PyObject* object, const Place& place) {
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_C_CONTIGUOUS) != 0) {
      PyErr_Clear();
      throw ConversionError(
          "a memoryview that is released or not contiguous cannot be passed to JavaScript", place);
    }
    Bytes result;
    bool fits = true;
    try {
      result.data.assign(static_cast<const char*>(view.buf), static_cast<std::size_t>(view.len));
    } catch (const std::exception&) {
      fits = false;
    }
    const std::string size = std::to_string(view.len);
    PyBuffer_Release(&view);
    if (!fits) {
      throw ConversionError(
          size + " bytes do not fit into memory and cannot be passed to JavaScript", place);
    }
    return Value(std::move(result));
  }

  // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth
  Value list(PyObject* object, const Place& place) {
    enter(object, place);
    List items;
    items.reserve(static_cast<std::size_t>(length(object)));
    // The size is asked for again: a numpy scalar's item() is Python code that may change the list.
    for (Py_ssize_t i = 0; i < length(object); ++i) {
      const PyRef item = checked(PySequence_GetItem(object, i));
      items.push_back(convert(item.get(), Place(place, static_cast<std::size_t>(i))));
    }
    ancestors_.pop_back();
    return Value(std::move(items));
  }

  // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth
  Value dict(PyObject* object, const Place& place) {
    enter(object, place);
    const PyRef pairs = checked(PyDict_Items(object));
    const Py_ssize_t size = PyList_Size(pairs.get());
    Dict result;
    result.entries.reserve(static_cast<std::size_t>(size));
    bool subclass_keys = false;
    for (Py_ssize_t i = 0; i < size; ++i) {
      PyObject* pair = PyList_GetItem(pairs.get(), i);
      PyObject* name = PyTuple_GetItem(pair, 0);
      refuse_key(name, place);
      subclass_keys =
          subclass_keys || (PyUnicode_Check(name) != 0 && Py_TYPE(name) != &PyUnicode_Type);
      Value key = convert(name, place);
      Value item = convert(PyTuple_GetItem(pair, 1), Place(place, key));
      result.entries.emplace_back(std::move(key), std::move(item));
    }
    ancestors_.pop_back();
    if (subclass_keys) refuse_equal_texts(result, place);
    return Value(std::move(result));
  }

  /// Subclasses of str may be different keys with the same text.
  static void refuse_equal_texts(const Dict& dict, const Place& place) {
    std::set<std::string> seen;
    for (const auto& [key, item] : dict.entries) {
      const auto* text = std::get_if<std::string>(&key.content());
      if (text != nullptr && !seen.insert(*text).second) {
        throw ConversionError(
            "a dict with two keys of the same text cannot be passed to JavaScript", place);
      }
    }
  }

  /// A subclass may override __len__, which may raise.
  static Py_ssize_t length(PyObject* sequence) {
    const Py_ssize_t length = PySequence_Size(sequence);
    if (length < 0) throw PythonErrorSet{};
    return length;
  }

  static void refuse_key(PyObject* key, const Place& place) {
    const bool simple = key == Py_None || PyLong_Check(key) != 0 || PyFloat_Check(key) != 0 ||
                        PyUnicode_Check(key) != 0;
    if (simple) return;
    throw ConversionError("a dict key of class " + class_name(key) +
                              " cannot be passed to JavaScript; keys must be str, int, float, bool "
                              "or None",
                          place);
  }

  /// Refuses what is too deep and what contains itself.
  void enter(PyObject* object, const Place& place) {
    if (place.depth() >= kMaxDepth) {
      throw ConversionError("nested deeper than " + std::to_string(kMaxDepth) + " levels", place);
    }
    if (std::find(ancestors_.begin(), ancestors_.end(), object) != ancestors_.end()) {
      throw ConversionError("a " + class_name(object) + " that contains itself cannot be passed",
                            place);
    }
    ancestors_.push_back(object);
  }

  /// `numpy.generic.item()`, or null when the object is no numpy scalar.
  static PyRef numpy_scalar_item(PyObject* object) {
    // Without numpy imported there is no numpy scalar either.
    PyObject* modules = PyImport_GetModuleDict();
    PyObject* numpy = PyDict_GetItemString(modules, "numpy");
    if (numpy == nullptr) return {};
    const PyRef generic = PyRef::take(PyObject_GetAttrString(numpy, "generic"));
    if (!generic || PyObject_IsInstance(object, generic.get()) != 1) {
      PyErr_Clear();
      return {};
    }
    PyRef item = checked(PyObject_CallMethod(object, "item", nullptr));
    // longdouble and datetime64 give themselves, or classes that cannot cross either.
    if (PyObject_IsInstance(item.get(), generic.get()) != 0) return {};
    return item;
  }

  static std::string remedy(PyObject* object) {
    const std::string name = class_name(object);
    if (name == "torch.Tensor" || name == "numpy.ndarray") {
      return "; return .item() for a scalar, .tolist() for a few numbers, an artifact for many";
    }
    if (is_lent_buffer(object)) return "; JavaScript owns it already, fill it instead";
    if (name == "set" || name == "frozenset") return "; return a list";
    return "";
  }

  /// The lists and dicts around the one being converted, outermost first.
  std::vector<PyObject*> ancestors_;
};

}  // namespace

Value from_python(PyObject* object) { return FromPython().convert(object, Place()); }

}  // namespace torchbed
