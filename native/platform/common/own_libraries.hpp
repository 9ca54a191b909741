// Keeps Python's own OpenSSL and SQLite apart from Node's.
#pragma once

namespace torchbed {

/// GIL held, once, right after initialisation. Node exports its own OpenSSL (and sqlite3 from 22
/// on), to which Python's modules would bind: this imports those modules with RTLD_DEEPBIND, so
/// that they find their own libraries first. Modules that this Python lacks are left out.
void import_with_own_libraries();

}  // namespace torchbed
