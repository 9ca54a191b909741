// The process's one Python interpreter: its thread, its queue of jobs, cancelling and parking.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "host.hpp"
#include "job.hpp"

namespace torchbed {

/// In place of a model: all of the session's, and the session.
inline constexpr uint32_t kWholeSession = 0;

/// What the interpreter is doing just now.
struct Activity {
  std::size_t queued = 0;
  /// Of the running call; empty when none runs.
  std::string method;
  std::chrono::duration<double, std::milli> age{0};
  bool is_overdue = false;
};

/// Thread contract: every public member may be called from any thread that does not hold the GIL,
/// except those under "From Python", which Python code calls with the GIL held. No member takes the
/// GIL; only the interpreter thread does. The mutex may be taken while holding the GIL, never the
/// other way round.
class Interpreter {
 public:
  enum class State { kAbsent, kStarting, kRunning, kFailed };

  /// Leaked on purpose: the interpreter thread waits on its condition variable until the process
  /// is gone, and destroying that would hang the exit.
  static Interpreter& instance();

  /// Starts Python, or waits for the start that is under way; settles `job` when it runs or failed.
  void start(StartOptions options, std::unique_ptr<Job> job);

  /// Queues a call. Calls run one at a time, in the order given, urgent ones before others.
  void submit(std::unique_ptr<Job> job);

  /// Cancels the environment's call with this id wherever it is; unknown ids are those already settled.
  void cancel(const Environment& owner, uint64_t id);

  /// Gives the environment's running call up: its caller waits no more, and until it returns the
  /// interpreter is overdue. False when it is not the running one.
  bool give_up(const Environment& owner, uint64_t id);
  [[nodiscard]] bool is_overdue() const { return is_overdue_.load(std::memory_order_acquire); }

  /// Posts a model whose handle is gone, or kWholeSession for a session whose environment is;
  /// drained around calls and when idle.
  void release(uint32_t session, uint32_t model);

  /// An environment begins; it ends with leave(), which cancels its calls. When the last one has
  /// ended the process is probably leaving: see exit.hpp.
  void join();
  void leave(const Environment& environment);

  /// Stops intake, cancels, and waits at most `grace` for the thread to park, which it does after
  /// running Python's atexit functions. True when Python was never started or is parked with no
  /// other Python thread alive, so that static destructors may run.
  bool shut_down(std::chrono::milliseconds grace);

  [[nodiscard]] State state();
  [[nodiscard]] Activity activity();
  [[nodiscard]] int64_t models() const { return models_; }
  /// Whether no Python code runs any more in this process, or ever did.
  [[nodiscard]] bool at_rest();
  /// Whether Python runs no call just now. Waits for no lock: false when that cannot be told at once.
  [[nodiscard]] bool is_idle();
  /// The executable that was asked for at the first start; empty before.
  [[nodiscard]] std::string executable();

  // From Python, GIL held, any Python thread.
  void write(int stream, std::string text);
  [[nodiscard]] bool has_room_for_output();
  /// `content` is asked for when somebody listens to the running call.
  void progress(const std::function<Value()>& content);
  /// How many models the open sessions hold together.
  void count_models(int64_t models) { models_ = models; }
  [[nodiscard]] bool should_stop();
  /// How urgently the running call is to end.
  enum class Urgency { kNone, kCancelled, kLeaving };
  [[nodiscard]] Urgency urgency();
  /// Whether an urgent call waits that yield() would run.
  [[nodiscard]] bool has_urgent() const { return has_urgent_.load(std::memory_order_acquire); }
  /// Runs the urgent calls that wait just now, inside the running call. Nothing on other threads, nor inside
  /// a call that runs so itself.
  void yield();
  /// Whether torchbed.Cancelled is on its way through the running call: what cleans up then is left alone.
  void set_ending(bool is_ending);

 private:
  Interpreter() = default;

  void run(const StartOptions& options);
  /// Interpreter thread, GIL held: waits until there is something to do. `spin`: for a moment awake.
  void await_work(bool spin);
  [[nodiscard]] bool has_work() const {
    return stopping_ || !urgent_.empty() || !queue_.empty() || !releases_.empty();
  }
  /// The next call, which becomes the running one; null when none waits. Under mutex_.
  [[nodiscard]] std::unique_ptr<Job> take_next();
  /// Asks the running call to end, and the one around it. Under mutex_.
  void request_cancel();
  void await_idle(std::chrono::milliseconds limit);
  void park();
  void execute(Job& job);
  std::size_t loans_kept(const Job& job);
  void finish(std::unique_ptr<Job> job);
  void interrupt_running();
  void interrupt_until_left();
  std::shared_ptr<Environment> output_target();

  Host host_;
  /// Whether has_work(), for a thread that spins for it without the mutex.
  std::atomic<bool> has_work_{false};
  /// Whether urgent_ has something.
  std::atomic<bool> has_urgent_{false};
  std::atomic<bool> is_overdue_{false};
  std::atomic<int64_t> models_{0};
  std::mutex mutex_;
  std::condition_variable work_;
  /// Parked, started, or between two jobs.
  std::condition_variable rest_;
  // All below are guarded by mutex_.
  State state_ = State::kAbsent;
  std::string executable_;
  std::optional<Failure> start_failure_;
  std::vector<std::unique_ptr<Job>> start_waiters_;
  std::deque<std::unique_ptr<Job>> urgent_;
  std::deque<std::unique_ptr<Job>> queue_;
  std::vector<std::pair<uint32_t, uint32_t>> releases_;
  Job* running_ = nullptr;
  /// What the running call interrupts, at a yield point.
  Job* around_ = nullptr;
  std::thread::id thread_;
  std::chrono::steady_clock::time_point running_since_;
  std::weak_ptr<Environment> first_environment_;
  int environments_ = 0;
  /// Whether a thread is at interrupt_until_left().
  bool is_interrupting_ = false;
  bool is_ending_ = false;
  bool stopping_ = false;
  bool parked_ = false;
  bool quiet_ = false;
};

}  // namespace torchbed
