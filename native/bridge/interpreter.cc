// The interpreter thread: start, loop, cancel, park.
#include "interpreter.hpp"

#include <algorithm>
#include <functional>

#include "../platform/common/environment_variables.hpp"
#include "../platform/common/exit.hpp"
#include "../platform/common/interrupts.hpp"
#include "../platform/common/thread.hpp"
#include "environment.hpp"
#include "loan.hpp"
#include "spin.hpp"

namespace torchbed {
namespace {

/// Stack of the interpreter thread: what a main thread usually has, and more, for deep C recursion.
constexpr std::size_t kStackBytes = std::size_t{16} << 20;

/// How long the interpreter thread stays awake after an urgent call, for the next one.
constexpr std::chrono::microseconds kWorkSpin{200};

/// How often a cancelled call is interrupted: soon again at first, then less and less often, and seldom while it
/// cleans up.
constexpr std::chrono::milliseconds kFirstInterrupts{1};
constexpr std::chrono::milliseconds kLaterInterrupts{20};
constexpr std::chrono::milliseconds kEndingInterrupts{250};

/// Stack of the thread that interrupts, which calls two functions.
constexpr std::size_t kInterrupterStackBytes = std::size_t{512} << 10;

/// How often it is looked whether there is a call to cancel while the process waits to leave.
constexpr std::chrono::milliseconds kCancelInterval{100};

Failure closed_failure() {
  return {"ERR_RUNTIME_CLOSED", "Python is shutting down in this process", "", "", ""};
}

}  // namespace

Interpreter& Interpreter::instance() {
  static auto* interpreter = new Interpreter;
  return *interpreter;
}

// --- called by environments -----------------------------------------------------------------------

void Interpreter::start(StartOptions options, std::unique_ptr<Job> job) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (state_ == State::kAbsent && !stopping_) {
    state_ = State::kStarting;
    executable_ = options.executable;
    first_environment_ = job->owner;
    // Here, where process.env is written too, rather than on the new thread: setenv is not safe
    // against a getenv on another one.
    for (const auto& [name, value] : options.env) set_environment_variable(name, value);
    // A PYTHONHOME made for another Python would end the process during initialisation; the
    // executable alone says where its library is.
    remove_environment_variable("PYTHONHOME");
    if (!start_detached_thread(kStackBytes,
                               [this, options = std::move(options)] { run(options); })) {
      state_ = State::kFailed;
      start_failure_ = Failure{"ERR_PYTHON_START", "Cannot create a thread for Python", "", "", ""};
    }
  }
  if (state_ == State::kStarting) {
    start_waiters_.push_back(std::move(job));
    return;
  }
  if (stopping_) {
    job->outcome = closed_failure();
  } else if (start_failure_) {
    const Failure& known = *start_failure_;
    job->outcome = Failure{known.code, known.message, known.python_type, known.traceback, ""};
  }
  lock.unlock();
  finish(std::move(job));
}

void Interpreter::submit(std::unique_ptr<Job> job) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (stopping_ || state_ != State::kRunning) {
    lock.unlock();
    job->outcome = closed_failure();
    finish(std::move(job));
    return;
  }
  if (job->is_urgent) {
    urgent_.push_back(std::move(job));
    has_urgent_.store(true, std::memory_order_release);
  } else {
    queue_.push_back(std::move(job));
  }
  has_work_.store(true, std::memory_order_release);
  lock.unlock();
  work_.notify_one();
}

void Interpreter::cancel(const Environment& owner, uint64_t id) {
  const auto is_meant = [&owner, id](const Job& job) {
    return job.id == id && job.owner.get() == &owner;
  };
  std::unique_lock<std::mutex> lock(mutex_);
  if (running_ != nullptr && is_meant(*running_)) {
    running_->cancel_requested = true;
    lock.unlock();
    interrupt_running();
    return;
  }
  if (around_ != nullptr && is_meant(*around_)) {
    around_->cancel_requested = true;  // Interrupted when it goes on.
    return;
  }
  std::unique_ptr<Job> job;
  for (auto* queue : {&urgent_, &queue_}) {
    const auto queued =
        std::find_if(queue->begin(), queue->end(),
                     [&](const std::unique_ptr<Job>& waiting) { return is_meant(*waiting); });
    if (queued == queue->end()) continue;
    job = std::move(*queued);
    queue->erase(queued);
    break;
  }
  if (job == nullptr) return;
  has_urgent_.store(!urgent_.empty(), std::memory_order_release);
  lock.unlock();
  job->outcome = Failure{"ABORT_ERR", "The call was cancelled before it began", "", "", "", false};
  finish(std::move(job));
}

bool Interpreter::give_up(const Environment& owner, uint64_t id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Job* job : {running_, around_}) {
    if (job == nullptr || job->id != id || job->owner.get() != &owner) continue;
    job->is_overdue = true;
    is_overdue_.store(true, std::memory_order_release);
    return true;
  }
  return false;
}

void Interpreter::release(uint32_t session, uint32_t model) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (state_ != State::kRunning) return;
    releases_.emplace_back(session, model);
    has_work_.store(true, std::memory_order_release);
  }
  work_.notify_one();
}

void Interpreter::join() {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++environments_;
}

void Interpreter::leave(const Environment& environment) {
  std::vector<std::unique_ptr<Job>> dropped;
  bool cancel_running = false;
  bool last = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto* queue : {&urgent_, &queue_}) {
      const auto keep = std::stable_partition(queue->begin(), queue->end(),
                                              [&environment](const std::unique_ptr<Job>& job) {
                                                return job->owner.get() != &environment;
                                              });
      std::move(keep, queue->end(), std::back_inserter(dropped));
      queue->erase(keep, queue->end());
    }
    has_urgent_.store(!urgent_.empty(), std::memory_order_release);
    for (Job* job : {running_, around_}) {
      if (job == nullptr || job->owner.get() != &environment) continue;
      job->cancel_requested = true;
      cancel_running = true;
    }
    last = --environments_ == 0 && !stopping_ &&
           (state_ == State::kStarting || state_ == State::kRunning);
  }
  if (cancel_running) interrupt_running();
  if (!last) return;
  // Libraries that Python loads after the handler is registered would have theirs run before it.
  await_idle(kDefaultGrace);
  end_without_destructors_if_busy(kDefaultGrace, 0);
}

/// Waits until Python has started and runs no job, which is cancelled over and over: a hook may swallow it.
void Interpreter::await_idle(std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  std::unique_lock<std::mutex> lock(mutex_);
  const auto is_idle = [this] { return state_ != State::kStarting && running_ == nullptr; };
  while (!is_idle() && std::chrono::steady_clock::now() < deadline) {
    if (running_ != nullptr) {
      request_cancel();
      lock.unlock();
      interrupt_running();
      lock.lock();
    }
    const auto next = std::chrono::steady_clock::now() + kCancelInterval;
    rest_.wait_until(lock, std::min(deadline, next), is_idle);
  }
  if (running_ != nullptr) running_->is_given_up = true;
}

bool Interpreter::shut_down(std::chrono::milliseconds grace) {
  const auto deadline = std::chrono::steady_clock::now() + grace;
  std::unique_lock<std::mutex> lock(mutex_);
  stopping_ = true;
  urgent_.clear();
  queue_.clear();
  has_urgent_.store(false, std::memory_order_release);
  if (state_ == State::kAbsent || state_ == State::kFailed) return true;
  work_.notify_all();
  while (!parked_ && std::chrono::steady_clock::now() < deadline) {
    if (running_ != nullptr) {
      if (running_->is_given_up) break;
      request_cancel();
      lock.unlock();
      interrupt_running();
      lock.lock();
    }
    const auto next = std::chrono::steady_clock::now() + kCancelInterval;
    rest_.wait_until(lock, std::min(deadline, next), [this] { return parked_; });
  }
  return parked_ && quiet_;
}

Interpreter::State Interpreter::state() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return state_;
}

Activity Interpreter::activity() {
  const std::lock_guard<std::mutex> lock(mutex_);
  Activity activity;
  activity.queued = urgent_.size() + queue_.size();
  if (running_ != nullptr) {
    activity.method = running_->title;
    activity.age = std::chrono::steady_clock::now() - running_since_;
    activity.is_overdue = running_->is_overdue;
  }
  return activity;
}

bool Interpreter::at_rest() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return state_ == State::kAbsent || parked_;
}

bool Interpreter::is_idle() {
  const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || state_ == State::kStarting) return false;
  return stopping_ || parked_ ? quiet_ : running_ == nullptr;
}

std::string Interpreter::executable() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return executable_;
}

void Interpreter::request_cancel() {
  for (Job* job : {running_, around_}) {
    if (job != nullptr) job->cancel_requested = true;
  }
}

/// Lets a thread interrupt the running call until it has left. Without mutex_ held.
void Interpreter::interrupt_running() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (std::exchange(is_interrupting_, true)) return;
  }
  if (start_detached_thread(kInterrupterStackBytes, [this] { interrupt_until_left(); })) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  is_interrupting_ = false;
}

/// As often as it takes: an interrupt may come just before a wait begins, and the exception that it raises may
/// be lost in a finalizer or be swallowed. Python's handler decides each time whether to raise one; see
/// _host/interrupting.py.
void Interpreter::interrupt_until_left() {
  auto interval = kFirstInterrupts;
  std::unique_lock<std::mutex> lock(mutex_);
  while (running_ != nullptr && running_->cancel_requested) {
    lock.unlock();
    // Where the signal is blocked, or the system has none: no wait ends then, but a loop does.
    PyErr_SetInterruptEx(interrupt_signal());
    interrupt_wait();
    lock.lock();
    const bool was_ending = is_ending_;
    rest_.wait_for(lock, was_ending ? kEndingInterrupts : interval, [this, was_ending] {
      return running_ == nullptr || !running_->cancel_requested || (was_ending && !is_ending_);
    });
    interval = std::min(interval * 2, kLaterInterrupts);
  }
  is_interrupting_ = false;
}

// --- called by Python -----------------------------------------------------------------------------

void Interpreter::write(int stream, std::string text) {
  if (const std::shared_ptr<Environment> target = output_target()) {
    target->deliver_output(stream, std::move(text));
  }
}

bool Interpreter::has_room_for_output() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return true;
  }
  const std::shared_ptr<Environment> target = output_target();
  return target == nullptr || target->has_room_for_output();
}

void Interpreter::progress(const std::function<Value()>& content) {
  std::shared_ptr<Environment> owner;
  uint64_t id = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (running_ == nullptr || !running_->wants_progress) return;
    owner = running_->owner;
    id = running_->id;
  }
  owner->deliver_progress(id, content());
}

/// Who sees what Python prints: the environment whose call is running, else the one that started
/// Python.
std::shared_ptr<Environment> Interpreter::output_target() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return running_ != nullptr ? running_->owner : first_environment_.lock();
}

bool Interpreter::should_stop() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return stopping_ || (running_ != nullptr && running_->cancel_requested);
}

void Interpreter::yield() {
  std::size_t left = 0;
  std::chrono::steady_clock::time_point since;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const bool is_here = std::this_thread::get_id() == thread_ && running_ != nullptr;
    if (!is_here || around_ != nullptr || running_->cancel_requested || stopping_) return;
    around_ = running_;
    since = running_since_;
    // No more than wait now: the call around goes on meanwhile, however many come.
    left = urgent_.size();
  }
  for (; left > 0; --left) {
    std::unique_ptr<Job> job;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (urgent_.empty() || around_->cancel_requested || stopping_) break;
      job = take_next();
    }
    execute(*job);
    finish(std::move(job));
  }
  bool is_cancelled = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    around_ = nullptr;
    running_since_ = since;
    is_ending_ = false;
    is_cancelled = running_->cancel_requested;
  }
  if (is_cancelled) interrupt_running();
}

void Interpreter::set_ending(bool is_ending) {
  const std::lock_guard<std::mutex> lock(mutex_);
  is_ending_ = is_ending;
  if (!is_ending) rest_.notify_all();
}

Interpreter::Urgency Interpreter::urgency() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (running_ == nullptr || !running_->cancel_requested) return Urgency::kNone;
  return stopping_ ? Urgency::kLeaving : Urgency::kCancelled;
}

// --- the interpreter thread -----------------------------------------------------------------------

/// The interpreter thread from its first to its last instruction.
void Interpreter::run(const StartOptions& options) {
  name_this_thread("torchbed-python");
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    thread_ = std::this_thread::get_id();
  }
  std::optional<Failure> failure = host_.start(options);
  std::vector<std::unique_ptr<Job>> waiters;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    state_ = failure ? State::kFailed : State::kRunning;
    start_failure_ = std::move(failure);
    waiters.swap(start_waiters_);
    if (state_ == State::kFailed) parked_ = quiet_ = true;
  }
  rest_.notify_all();
  for (std::unique_ptr<Job>& job : waiters) start({}, std::move(job));
  if (state() == State::kFailed) return;

  bool spin = false;
  for (;;) {
    await_work(spin);
    std::unique_ptr<Job> job;
    std::vector<std::pair<uint32_t, uint32_t>> releases;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (stopping_) break;
      if (!releases_.empty()) {
        // With no job running: a cancel would else end what dropping a model runs, and not the job.
        releases.swap(releases_);
      } else {
        job = take_next();
      }
      has_work_.store(has_work(), std::memory_order_relaxed);
    }
    if (!releases.empty()) host_.release(releases);
    spin = job != nullptr && job->spins;
    if (job == nullptr) continue;
    execute(*job);
    finish(std::move(job));
  }
  park();
}

std::unique_ptr<Job> Interpreter::take_next() {
  auto& queue = urgent_.empty() ? queue_ : urgent_;
  if (queue.empty()) return nullptr;
  std::unique_ptr<Job> job = std::move(queue.front());
  queue.pop_front();
  has_urgent_.store(!urgent_.empty(), std::memory_order_release);
  running_ = job.get();
  running_since_ = std::chrono::steady_clock::now();
  is_ending_ = false;
  return job;
}

void Interpreter::await_work(bool spin) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (has_work()) return;
  }
  PyThreadState* const idle = PyEval_SaveThread();
  if (spin) spin_until(has_work_, kWorkSpin);
  {
    std::unique_lock<std::mutex> lock(mutex_);
    work_.wait(lock, [this] { return has_work(); });
  }
  PyEval_RestoreThread(idle);
}

void Interpreter::execute(Job& job) {
  Outcome outcome = host_.dispatch(job);
  if (std::size_t kept = loans_kept(job); kept > 0) {
    Failure retained{"ERR_BUFFERS_RETAINED",
                     "Python kept " + std::to_string(kept) +
                         (kept == 1 ? " buffer that was" : " buffers that were") +
                         " lent for one call; clone what must be kept, as with tensor.clone()",
                     "", "", ""};
    if (auto* failure = std::get_if<Failure>(&outcome)) {
      retained.message += "; the call itself failed: " + failure->message;
      retained.python_type = std::move(failure->python_type);
      retained.traceback = std::move(failure->traceback);
    }
    outcome = std::move(retained);
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  running_ = around_;
  rest_.notify_all();
  is_overdue_.store(around_ != nullptr && around_->is_overdue, std::memory_order_release);
  if (auto* failure = std::get_if<Failure>(&outcome); failure != nullptr && job.cancel_requested) {
    // Whatever the hook made of the cancellation, its caller asked for the end and gets that.
    failure->code = "ABORT_ERR";
  }
  job.outcome = std::move(outcome);
}

/// How many lent buffers outlive their call, cycles aside. They give out no further views.
std::size_t Interpreter::loans_kept(const Job& job) {
  const auto alive = [](const std::weak_ptr<Loan>& loan) { return !loan.expired(); };
  if (std::none_of(job.loans.begin(), job.loans.end(), alive)) return 0;
  host_.collect_garbage();
  std::size_t kept = 0;
  for (const std::weak_ptr<Loan>& weak : job.loans) {
    if (const std::shared_ptr<Loan> loan = weak.lock()) {
      loan->revoke();
      ++kept;
    }
  }
  return kept;
}

void Interpreter::finish(std::unique_ptr<Job> job) {
  // Of a job that never ran: the code that awaits it finds its buffers given back.
  job->params = {};
  const std::shared_ptr<Environment> owner = std::exchange(job->owner, nullptr);
  owner->deliver(std::move(job));
}

/// Runs Python's atexit functions and waits for the end of the process. When no other Python thread
/// is alive the GIL is given back, because torch's static destructors take it; otherwise it is kept,
/// so that those threads stand still until the exit handler leaves by _exit().
void Interpreter::park() {
  const bool quiet = host_.shut_down();
  if (quiet) PyEval_SaveThread();
  std::unique_lock<std::mutex> lock(mutex_);
  quiet_ = quiet;
  parked_ = true;
  rest_.notify_all();
  work_.wait(lock, [] { return false; });
}

}  // namespace torchbed
