// Which copy of this library runs the process's Python: they share a variable.
#include "../common/claim.hpp"

#include <atomic>

namespace torchbed {

/// One for the whole process: an inline variable of default visibility is unique among all libraries that are
/// loaded (glibc, macOS). musl makes no such promise for those opened by dlopen: there, two copies that start at
/// the very same moment do not see each other.
__attribute__((visibility("default"))) inline std::atomic<bool> python_is_claimed{false};

bool claim_python() { return !python_is_claimed.exchange(true); }

}  // namespace torchbed
