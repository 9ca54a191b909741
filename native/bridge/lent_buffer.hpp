// The Python class torchbed.LentBuffer: an exporter of lent memory.
#pragma once

#include <memory>

#include "loan.hpp"
#include "python.hpp"

namespace torchbed {

/// GIL held. A new exporter; null with a Python error set. Python code gets at the memory through the
/// buffer protocol: memoryview(b), numpy.frombuffer(b), torch.frombuffer(b).
PyRef make_lent_buffer(std::shared_ptr<Loan> loan);

/// GIL held.
bool is_lent_buffer(PyObject* object);

}  // namespace torchbed
