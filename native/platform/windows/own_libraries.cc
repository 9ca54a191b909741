// Keeps Python's own OpenSSL and SQLite apart from Node's: on Windows a symbol is bound to the library that it
// comes from, and nothing is to be done.
#include "../common/own_libraries.hpp"

namespace torchbed {

void import_with_own_libraries() {}

}  // namespace torchbed
