// Opening shared libraries: dlopen.
#include "../common/shared_library.hpp"

#include <dlfcn.h>

namespace torchbed {

void* open_library(const std::string& path, Scope scope) {
  void* handle =
      dlopen(path.c_str(), RTLD_NOW | (scope == Scope::kGlobal ? RTLD_GLOBAL : RTLD_LOCAL));
  if (handle == nullptr) {
    const char* reason = dlerror();
    throw LibraryError(reason == nullptr ? "dlopen failed: " + path : reason);
  }
  return handle;
}

void* find_symbol(void* library, const char* name) { return dlsym(library, name); }

// Wheels and lib-dynload modules do not link libpython, so RTLD_GLOBAL is not optional.
void open_python(const std::string& libpython) { open_library(libpython, Scope::kGlobal); }

void keep_this_library() {
#ifdef __APPLE__
  // ELF libraries are linked with `-z nodelete`; Mach-O ones have to ask.
  Dl_info self{};
  if (dladdr(reinterpret_cast<const void*>(&keep_this_library), &self) != 0) {
    dlopen(self.dli_fname, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  }
#endif
}

}  // namespace torchbed
