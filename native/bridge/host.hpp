// Python's side of the bridge as C++ sees it: starting the interpreter and calling torchbed._host.host.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "job.hpp"
#include "python.hpp"

namespace torchbed {

struct StartOptions {
  /// The Python executable in UTF-8: it alone decides sys.prefix and site-packages.
  std::string executable;
  /// What the probe of that executable said, such as 3.11.7.
  std::string version;
  /// Folder that holds the Python package `torchbed`.
  std::string python_root;
  /// Environment variables to set before Python reads them; the process shares them.
  std::vector<std::pair<std::string, std::string>> env;
};

/// Used by the interpreter thread alone. Except for start(), every member needs the GIL.
class Host {
 public:
  /// Initialises Python on this thread, which becomes Python's main thread, and imports
  /// torchbed._host.host. The GIL is held afterwards, unless it failed: that is final for the process.
  std::optional<Failure> start(const StartOptions& options);

  /// Calls torchbed._host.host.dispatch. Consumes the job's params.
  Outcome dispatch(Job& job);

  /// Drops models; never fails.
  void release(const std::vector<std::pair<uint32_t, uint32_t>>& models);

  /// Frees what only cycles keep alive.
  void collect_garbage();

  /// Runs Python's atexit functions and flushes. True when no other Python thread is alive.
  bool shut_down();

 private:
  std::optional<Failure> import_package(const StartOptions& options);
  Failure failure_from_error(const char* code) const;

  PyRef dispatch_;
  PyRef release_;
  PyRef shut_down_;
  PyRef cancelled_;
};

}  // namespace torchbed
