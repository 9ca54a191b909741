// One operation on libuv's threads: pieces that any of them may take, and a promise for the end.
#pragma once

#include <napi.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "codec.hpp"

namespace torchbed {

/// What a receiver refuses: which payload, and where in it.
struct PayloadFault {
  std::size_t payload = 0;
  Fault fault;
};

/// Shared by the threads that work on it.
class Job {
 public:
  explicit Job(std::size_t pieces) : pieces_(pieces) {}

  /// Any thread. The next piece; false when none is left, or one has failed. Pieces are handed out in order.
  bool claim(std::size_t& piece);
  /// Any thread. Keeps what the lowest piece says, so that the answer does not depend on who was faster.
  void fail(std::size_t piece, const PayloadFault& fault);
  void fail(std::size_t piece, Fault fault) { fail(piece, PayloadFault{0, fault}); }

  /// After the end.
  bool has_failed() const { return has_failed_; }
  const PayloadFault& fault() const { return fault_; }
  std::size_t pieces() const { return pieces_; }

 private:
  const std::size_t pieces_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> has_failed_ = false;
  std::mutex mutex_;
  std::size_t failed_piece_ = SIZE_MAX;
  PayloadFault fault_;
};

/// On a libuv thread, several at once: claims pieces until there are none.
using Work = std::function<void(Job&)>;
/// On the JS thread, once all is done.
using Answer = std::function<Napi::Value(Napi::Env, const Job&)>;

/// JS thread. `lent` stays alive until the promise settles; it must not be detached before.
Napi::Promise start(Napi::Env env, std::size_t pieces, const std::vector<Napi::Value>& lent,
                    Work work, Answer answer);

}  // namespace torchbed
