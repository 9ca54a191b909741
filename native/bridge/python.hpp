// CPython's stable ABI, and one RAII type per Python resource.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <utility>

namespace torchbed {

/// An owned reference. GIL held in every member, the destructor included.
class PyRef {
 public:
  PyRef() = default;
  /// Takes over the reference that a CPython function returned; null stands for its error.
  static PyRef take(PyObject* object) { return PyRef(object); }
  /// Adds a reference to a borrowed object.
  static PyRef borrow(PyObject* object) {
    Py_XINCREF(object);
    return PyRef(object);
  }

  PyRef(PyRef&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  PyRef& operator=(PyRef&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  PyRef(const PyRef&) = delete;
  PyRef& operator=(const PyRef&) = delete;
  ~PyRef() { Py_XDECREF(object_); }

  [[nodiscard]] PyObject* get() const { return object_; }
  /// Hands the reference over to a function that steals it.
  [[nodiscard]] PyObject* release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  explicit PyRef(PyObject* object) : object_(object) {}
  PyObject* object_ = nullptr;
};

/// The thread's Python error, set aside. GIL held.
class PyErrorHold {
 public:
  PyErrorHold() { PyErr_Fetch(&type_, &value_, &traceback_); }
  PyErrorHold(const PyErrorHold&) = delete;
  PyErrorHold& operator=(const PyErrorHold&) = delete;
  ~PyErrorHold() {
    Py_XDECREF(type_);
    Py_XDECREF(value_);
    Py_XDECREF(traceback_);
  }

  [[nodiscard]] PyObject* type() const { return type_; }
  /// The exception object itself, with its traceback attached; null when there was no error.
  [[nodiscard]] PyObject* exception() {
    if (type_ != nullptr) {
      PyErr_NormalizeException(&type_, &value_, &traceback_);
      if (traceback_ != nullptr) PyException_SetTraceback(value_, traceback_);
    }
    return value_;
  }

 private:
  PyObject* type_ = nullptr;
  PyObject* value_ = nullptr;
  PyObject* traceback_ = nullptr;
};

}  // namespace torchbed
