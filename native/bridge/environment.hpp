// One Node environment (the main thread or a worker): its pending calls and its way back to JS.
#pragma once

#include <napi.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "javascript_values.hpp"
#include "job.hpp"
#include "loan.hpp"

namespace torchbed {

/// Text that Python wrote: 1 is stdout, 2 is stderr.
struct Output {
  int stream = 1;
  std::string text;
};

/// Results reach the environment through an outbox that its thread-safe function empties, so that
/// many results cost one wake-up. The function is referenced only while calls are pending: an idle
/// runtime lets Node exit, and a busy one keeps it alive.
class Environment : public std::enable_shared_from_this<Environment> {
 public:
  /// JS thread. The environment is kept in instance data; `on_output` is called with an array
  /// [stream, text, stream, text, ...].
  static std::shared_ptr<Environment> create(Napi::Env env);
  static std::shared_ptr<Environment> of(Napi::Env env);

  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() = default;

  /// JS thread. A promise for the job's outcome; the environment stays alive until it settles.
  Napi::Promise expect(Job& job);

  /// JS thread. Settles a job that never left this thread.
  void settle(Job& job);

  /// Any thread. Dropped when the environment is gone.
  void deliver(std::unique_ptr<Job> job);
  void deliver_output(int stream, std::string text);

  /// JS thread. Output that has not been handed to the listener yet.
  Napi::Array take_output();

  /// JS thread. The environment answers for this session: it is closed when the environment goes.
  void own_session(uint32_t session) { sessions_.insert(session); }
  void disown_session(uint32_t session) { sessions_.erase(session); }

  /// JS thread. Lends the ArrayBuffer of a `LentBuffer`, which is held until the loan ends.
  /// Throws ConversionError when it is on loan, taken or detached.
  std::shared_ptr<Loan> lend(const Napi::Object& lent_buffer, const Place& place);

  /// Any thread: the last party has let go of a loan.
  void end_loan(uint32_t slot);

  /// JS thread.
  void set_output_listener(const Napi::Function& listener);

  [[nodiscard]] const Intrinsics& intrinsics() const { return intrinsics_; }
  Intrinsics& intrinsics() { return intrinsics_; }

 private:
  explicit Environment(Napi::Env env) : env_(env), intrinsics_(env) {}

  void open_channel();
  void close();
  void await_loans();
  void give_back(uint32_t slot);
  void wake();
  void drain();
  Napi::Array output_array(const std::vector<Output>& output) const;

  static void on_wake(napi_env env, napi_value callback, void* context, void* data);

  const Napi::Env env_;
  Intrinsics intrinsics_;
  Napi::FunctionReference output_listener_;
  std::size_t pending_ = 0;
  std::set<uint32_t> sessions_;
  /// The buffers on loan, by slot, with the `LentBuffer` that each belongs to.
  struct Lent {
    Napi::ObjectReference lent_buffer;
    Napi::Reference<Napi::ArrayBuffer> array_buffer;
  };
  std::map<uint32_t, Lent> lent_;
  uint32_t last_slot_ = 0;

  std::mutex mutex_;
  // Guarded by mutex_.
  napi_threadsafe_function channel_ = nullptr;
  bool wake_sent_ = false;
  std::vector<std::unique_ptr<Job>> settled_;
  std::vector<Output> output_;
  std::set<uint32_t> loans_;
  std::vector<uint32_t> ended_loans_;
  std::condition_variable loans_changed_;
};

}  // namespace torchbed
