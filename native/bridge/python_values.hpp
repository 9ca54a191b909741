// Python objects to the value tree and back. docs/values.md is the table.
#pragma once

#include "python.hpp"
#include "value.hpp"

namespace torchbed {

/// A Python exception is set for the thread; the caller fetches it.
struct PythonErrorSet {};

/// GIL held. Throws PythonErrorSet (out of memory), ConversionError (two Map keys that are one
/// dict key, such as 1 and true).
PyRef to_python(const Value& value);

/// GIL held. Throws ConversionError for what cannot cross, PythonErrorSet when Python itself fails.
Value from_python(PyObject* object);

}  // namespace torchbed
