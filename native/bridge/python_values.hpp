// Python objects to the value tree. docs/reference/values.md is the table.
#pragma once

#include "python.hpp"
#include "value.hpp"

namespace torchbed {

/// A Python exception is set for the thread; the caller fetches it.
struct PythonErrorSet {};

/// GIL held. Throws ConversionError for what cannot cross, PythonErrorSet when Python itself fails.
Value from_python(PyObject* object);

}  // namespace torchbed
