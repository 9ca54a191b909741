// Keeps Python's own OpenSSL and SQLite apart from Node's: RTLD_DEEPBIND, where the C library has it (glibc).
// On macOS a symbol is bound to the library that it comes from, and nothing is to be done.
#include "../common/own_libraries.hpp"

#include <dlfcn.h>

#include "../../bridge/python.hpp"

namespace torchbed {
namespace {

#if defined(RTLD_DEEPBIND) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/// sys.setdlopenflags for one scope.
class DlopenFlags {
 public:
  explicit DlopenFlags(int flags)
      : sys_(PyRef::take(PyImport_ImportModule("sys"))),
        before_(PyRef::take(PyObject_CallMethod(sys_.get(), "getdlopenflags", nullptr))) {
    const PyRef done = PyRef::take(PyObject_CallMethod(sys_.get(), "setdlopenflags", "i", flags));
  }
  DlopenFlags(const DlopenFlags&) = delete;
  DlopenFlags& operator=(const DlopenFlags&) = delete;
  ~DlopenFlags() {
    const PyRef done =
        PyRef::take(PyObject_CallMethod(sys_.get(), "setdlopenflags", "O", before_.get()));
  }

 private:
  PyRef sys_;
  PyRef before_;
};
#endif

}  // namespace

void import_with_own_libraries() {
#if defined(RTLD_DEEPBIND) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  const DlopenFlags flags(RTLD_NOW | RTLD_DEEPBIND);
  for (const char* name : {"_ssl", "_hashlib", "_sqlite3"}) {
    const PyRef module = PyRef::take(PyImport_ImportModule(name));
    PyErr_Clear();
  }
#endif
}

}  // namespace torchbed
