// The Python class torchbed.LentBuffer: an exporter of lent memory.
#include "lent_buffer.hpp"

#include <array>
#include <new>
#include <utility>

namespace torchbed {
namespace {

struct LentBuffer {
  PyObject base;
  std::shared_ptr<Loan> loan;
};

Loan& loan_of(PyObject* self) { return *reinterpret_cast<LentBuffer*>(self)->loan; }

/// Any Python thread: the one that drops the last reference.
void deallocate(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  using Pointer = std::shared_ptr<Loan>;
  reinterpret_cast<LentBuffer*>(self)->loan.~Pointer();
  PyObject_Free(self);
  Py_DECREF(reinterpret_cast<PyObject*>(type));
}

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  const Loan& loan = loan_of(self);
  if (loan.revoked()) {
    view->obj = nullptr;
    PyErr_SetString(PyExc_BufferError,
                    "this buffer was lent for one call, which is over; copy what must be kept");
    return -1;
  }
  return PyBuffer_FillInfo(view, self, loan.data(), static_cast<Py_ssize_t>(loan.size()),
                           loan.writable() ? 0 : 1, flags);
}

Py_ssize_t length(PyObject* self) { return static_cast<Py_ssize_t>(loan_of(self).size()); }

PyObject* represent(PyObject* self) {
  const Loan& loan = loan_of(self);
  return PyUnicode_FromFormat("<torchbed.LentBuffer of %zu bytes%s>", loan.size(),
                              loan.writable() ? ", writable" : "");
}

/// Borrowed, kept for the life of the process; null with a Python error set.
PyTypeObject* lent_buffer_type() {
  static PyTypeObject* type = nullptr;
  if (type != nullptr) return type;
  static std::array<PyType_Slot, 7> slots = {{
      {Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
      {Py_tp_repr, reinterpret_cast<void*>(represent)},
      {Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)},
      {Py_mp_length, reinterpret_cast<void*>(length)},
      {Py_sq_length, reinterpret_cast<void*>(length)},
      {Py_tp_doc, const_cast<char*>("Memory of the host, lent for the length of one call.")},
      {0, nullptr},
  }};
  static PyType_Spec spec = {"torchbed.LentBuffer", sizeof(LentBuffer), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots.data()};
  type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return type;
}

}  // namespace

PyRef make_lent_buffer(std::shared_ptr<Loan> loan) {
  PyTypeObject* type = lent_buffer_type();
  if (type == nullptr) return {};
  auto* object = PyObject_New(LentBuffer, type);
  if (object == nullptr) return {};
  new (&object->loan) std::shared_ptr<Loan>(std::move(loan));
  return PyRef::take(reinterpret_cast<PyObject*>(object));
}

bool is_lent_buffer(PyObject* object) { return Py_TYPE(object) == lent_buffer_type(); }

}  // namespace torchbed
