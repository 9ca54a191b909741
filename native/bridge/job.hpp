// A call on its way from an environment to the interpreter thread and back.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "encoded_value.hpp"
#include "value.hpp"

namespace torchbed {

class Environment;

/// Why a call failed; lib/runtime/failures.ts makes the typed error of `code` from it.
struct Failure {
  std::string code;
  std::string message;
  /// Empty when no Python exception was involved.
  std::string python_type;
  std::string traceback;
  /// Place inside a value, for ERR_VALUE.
  std::string path;
  /// For ABORT_ERR: whether the hook had changed the model's tensors, where that is known.
  std::optional<bool> state_changed{};
};

using Outcome = std::variant<Value, Failure>;

/// Owned by one party at a time: the queue, the interpreter thread, the owner's outbox.
struct Job {
  /// The owner's own number for it.
  uint64_t id = 0;
  /// Zero is the host itself; others are workloads that the host has opened.
  uint32_t session = 0;
  std::string method;
  /// What a user calls it: the hook, or the method.
  std::string title;
  EncodedValue params;
  /// The buffers lent in `params`; those still alive after the call were kept by Python.
  std::vector<std::weak_ptr<Loan>> loans;
  std::shared_ptr<Environment> owner;
  /// JS thread of `owner` only.
  std::optional<Napi::Promise::Deferred> deferred;
  /// Whether somebody listens to torchbed.progress().
  bool wants_progress = false;
  /// Both threads spin for a moment before they sleep: option `latency: 'low'`.
  bool spins = false;
  /// Goes before others that wait, and runs inside the running call at its next yield point.
  bool is_urgent = false;
  /// Guarded by the interpreter's mutex.
  bool cancel_requested = false;
  /// Whether its caller has been told that the deadline passed and waits no more. Guarded likewise.
  bool is_overdue = false;
  /// Whether somebody who leaves has waited for its end in vain, so that it does not happen again. Guarded likewise.
  bool is_given_up = false;
  Outcome outcome;
};

}  // namespace torchbed
