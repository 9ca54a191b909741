// One Node environment (the main thread or a worker): its pending calls and its way back to JS.
#pragma once

#include <napi.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "job.hpp"
#include "loan.hpp"

namespace torchbed {

/// How long an urgent call may keep the JS thread.
inline constexpr std::chrono::microseconds kResultSpin{50};

/// Text that Python wrote: 1 is stdout, 2 is stderr.
struct Output {
  int stream = 1;
  std::string text;
};

/// Of printed text that the JS thread has not taken yet.
inline constexpr std::size_t kMaxOutputBytes = std::size_t{8} << 20;

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

  /// JS thread. Whether no other call is pending.
  [[nodiscard]] bool is_only_pending() const { return pending_ == 1; }

  /// JS thread. Keeps the thread for kResultSpin at most until a result is there, and settles it at once:
  /// no wake-up of the event loop is waited for.
  void spin_for_result();

  /// Any thread. Dropped when the environment is gone.
  void deliver(std::unique_ptr<Job> job);
  void deliver_output(int stream, std::string text);
  /// Any thread. Whether less than kMaxOutputBytes wait for the JS thread: who prints more waits for it, as with a pipe.
  [[nodiscard]] bool has_room_for_output();
  /// Only the latest of a job is kept until the JS thread takes it.
  void deliver_progress(uint64_t job, Value content);

  /// JS thread. Output that has not been handed to the listener yet.
  Napi::Array take_output();

  /// JS thread. [job, content, job, content, ...] of what came since, for a listener that waits a little
  /// between two looks. When nothing came, the next progress wakes the thread again.
  Napi::Array take_progress();

  /// JS thread. The caller of a job waits for it no more: it does not keep the event loop alive.
  void stop_expecting(uint64_t job);

  /// JS thread. The environment answers for this session: it is closed when the environment goes.
  void own_session(uint32_t session) { sessions_.insert(session); }
  void disown_session(uint32_t session) { sessions_.erase(session); }

  /// JS thread. Lends the ArrayBuffer of a `LentBuffer`, which is held until the loan ends. Neither is on
  /// loan, taken or detached: the encoder has checked.
  std::shared_ptr<Loan> lend(const Napi::Object& lent_buffer);

  /// Any thread: the last party has let go of a loan.
  void end_loan(uint32_t slot);

  /// JS thread.
  void set_listeners(const Napi::Function& on_output, const Napi::Function& on_progress);

 private:
  explicit Environment(Napi::Env env);

  void open_channel();
  void close();
  void await_loans();
  void give_back(uint32_t slot);
  void settle(Job& job);
  void settle_all(const std::vector<uint32_t>& ended_loans,
                  const std::vector<std::unique_ptr<Job>>& settled);
  void wake();
  void drain();
  void report(const std::map<uint64_t, Value>& progress);
  Napi::Array progress_array(const std::map<uint64_t, Value>& progress);
  Napi::Array output_array(const std::vector<Output>& output) const;

  static void on_wake(napi_env env, napi_value callback, void* context, void* data);

  const Napi::Env env_;
  Napi::FunctionReference map_;
  Napi::FunctionReference output_listener_;
  Napi::FunctionReference progress_listener_;
  std::set<uint64_t> unexpected_;
  std::size_t pending_ = 0;
  std::set<uint32_t> sessions_;
  /// The buffers on loan, by slot, with the `LentBuffer` that each belongs to.
  struct Lent {
    Napi::ObjectReference lent_buffer;
    Napi::Reference<Napi::ArrayBuffer> array_buffer;
  };
  std::map<uint32_t, Lent> lent_;
  uint32_t last_slot_ = 0;

  /// Whether a result is in the outbox, for a thread that spins for it without the mutex.
  std::atomic<bool> has_result_{false};

  std::mutex mutex_;
  // Guarded by mutex_.
  napi_threadsafe_function channel_ = nullptr;
  bool wake_sent_ = false;
  bool is_spinning_ = false;
  std::vector<std::unique_ptr<Job>> settled_;
  std::vector<Output> output_;
  std::size_t output_bytes_ = 0;
  std::map<uint64_t, Value> progress_;
  /// Whether progress wakes the JS thread; not while its listener waits before it looks again.
  bool progress_wakes_ = true;
  std::set<uint32_t> loans_;
  std::vector<uint32_t> ended_loans_;
  std::condition_variable loans_changed_;
};

}  // namespace torchbed
