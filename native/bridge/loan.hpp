// Memory that JavaScript owns and lends to Python for the length of one call.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace torchbed {

class Environment;

/// One lent ArrayBuffer. Shared by the job on its way to Python and the exporter object there; when
/// the last of them lets go, the environment is told and may give the buffer back. The environment
/// holds the buffer until then, and does not end before.
class Loan {
 public:
  Loan(std::shared_ptr<Environment> owner, uint32_t slot, void* data, std::size_t size,
       bool writable);
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;
  /// Any thread.
  ~Loan();

  [[nodiscard]] void* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool writable() const { return writable_; }

  /// Loans of all environments that have not ended. Any thread.
  static int64_t alive();
  static int64_t alive_bytes();

  /// After the call the exporter gives out no further views. GIL held.
  void revoke() { revoked_ = true; }
  [[nodiscard]] bool revoked() const { return revoked_; }

 private:
  const std::shared_ptr<Environment> owner_;
  const uint32_t slot_;
  void* const data_;
  const std::size_t size_;
  const bool writable_;
  std::atomic<bool> revoked_{false};
};

}  // namespace torchbed
