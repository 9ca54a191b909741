// One Node environment: pending calls, outbox, thread-safe function, teardown.
#include "environment.hpp"

#include <chrono>
#include <utility>

#include "../platform/common/huge_pages.hpp"
#include "interpreter.hpp"
#include "javascript_values.hpp"
#include "place.hpp"
#include "spin.hpp"

namespace torchbed {
namespace {

/// What instance data holds, so that it can be shared with jobs that outlive the environment.
struct InstanceData {
  std::shared_ptr<Environment> environment;
};

Napi::Object failure_object(Napi::Env env, const Failure& failure) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("code", failure.code);
  object.Set("message", failure.message);
  object.Set("pythonType", failure.python_type);
  object.Set("traceback", failure.traceback);
  object.Set("path", failure.path);
  if (failure.state_changed) object.Set("stateChanged", *failure.state_changed);
  return object;
}

}  // namespace

Environment::Environment(Napi::Env env)
    : env_(env), map_(Napi::Persistent(env.Global().Get("Map").As<Napi::Function>())) {}

std::shared_ptr<Environment> Environment::create(Napi::Env env) {
  std::shared_ptr<Environment> environment(new Environment(env));
  environment->open_channel();
  env.SetInstanceData(new InstanceData{environment});
  // Instance data goes after the cleanup hooks, so the hook may rely on a raw pointer.
  env.AddCleanupHook([](Environment* closing) { closing->close(); }, environment.get());
  Interpreter::instance().join();
  return environment;
}

std::shared_ptr<Environment> Environment::of(Napi::Env env) {
  return env.GetInstanceData<InstanceData>()->environment;
}

void Environment::open_channel() {
  const Napi::String name = Napi::String::New(env_, "torchbed");
  const napi_status status = napi_create_threadsafe_function(
      env_, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, &Environment::on_wake, &channel_);
  if (status != napi_ok) throw Napi::Error::New(env_, "cannot create a thread-safe function");
  napi_unref_threadsafe_function(env_, channel_);
}

/// JS thread, during teardown of the environment. Nothing may reach JavaScript from here on.
void Environment::close() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    napi_release_threadsafe_function(std::exchange(channel_, nullptr), napi_tsfn_abort);
    settled_.clear();
    output_.clear();
    progress_.clear();
  }
  output_listener_.Reset();
  progress_listener_.Reset();
  map_.Reset();
  Interpreter& interpreter = Interpreter::instance();
  interpreter.leave(*this);
  for (const uint32_t session : sessions_) interpreter.release(session, kWholeSession);
  await_loans();
  lent_.clear();
}

/// The memory goes with the environment, so this waits until nothing in Python can reach it: until the
/// cancelled call has returned and what it kept is dropped, or Python has come to rest for good.
void Environment::await_loans() {
  constexpr std::chrono::milliseconds kLook{20};
  std::unique_lock<std::mutex> lock(mutex_);
  while (!loans_.empty() && !Interpreter::instance().at_rest()) {
    loans_changed_.wait_for(lock, kLook);
  }
}

std::shared_ptr<Loan> Environment::lend(const Napi::Object& lent_buffer) {
  Napi::ArrayBuffer memory = lent_buffer.Get("arrayBuffer").As<Napi::ArrayBuffer>();
  const bool writable = lent_buffer.Get("writable").ToBoolean();
  if (writable) prefer_huge_pages(memory.Data(), memory.ByteLength());
  const uint32_t slot = ++last_slot_;
  lent_.emplace(slot, Lent{Napi::Persistent(lent_buffer), Napi::Persistent(memory)});
  Napi::Object(lent_buffer).Set("onLoan", true);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    loans_.insert(slot);
  }
  return std::make_shared<Loan>(shared_from_this(), slot, memory.Data(), memory.ByteLength(),
                                writable);
}

void Environment::end_loan(uint32_t slot) {
  const std::lock_guard<std::mutex> lock(mutex_);
  loans_.erase(slot);
  loans_changed_.notify_all();
  if (channel_ == nullptr) return;
  ended_loans_.push_back(slot);
  wake();
}

/// JS thread.
void Environment::give_back(uint32_t slot) {
  const auto lent = lent_.find(slot);
  if (lent == lent_.end()) return;
  lent->second.lent_buffer.Value().Set("onLoan", false);
  lent_.erase(lent);
}

Napi::Promise Environment::expect(Job& job) {
  if (pending_++ == 0) napi_ref_threadsafe_function(env_, channel_);
  job.owner = shared_from_this();
  job.deferred = Napi::Promise::Deferred::New(env_);
  return job.deferred->Promise();
}

void Environment::settle(Job& job) {
  if (unexpected_.erase(job.id) == 0 && --pending_ == 0)
    napi_unref_threadsafe_function(env_, channel_);
  Failure* failure = std::get_if<Failure>(&job.outcome);
  try {
    if (failure == nullptr) {
      const napi_value result = to_javascript(env_, map_, std::get<Value>(job.outcome));
      job.deferred->Resolve(result);
    } else {
      job.deferred->Reject(failure_object(env_, *failure));
    }
  } catch (const ConversionError& error) {
    const Failure refused{"ERR_VALUE", error.message, "", "", error.path};
    job.deferred->Reject(failure_object(env_, refused));
  } catch (const Napi::Error& error) {
    // As a Map with too many entries throws. In a worker that is being terminated, this does too.
    const Failure refused{"ERR_VALUE", "JavaScript refuses it: " + error.Message(), "", "", ""};
    job.deferred->Reject(failure_object(env_, refused));
  }
}

void Environment::deliver(std::unique_ptr<Job> job) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (channel_ == nullptr) return;
  settled_.push_back(std::move(job));
  has_result_.store(true, std::memory_order_release);
  if (!is_spinning_) wake();
}

void Environment::deliver_output(int stream, std::string text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (channel_ == nullptr) return;
  output_bytes_ += text.size();
  output_.push_back({stream, std::move(text)});
  wake();
}

bool Environment::has_room_for_output() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return channel_ == nullptr || output_bytes_ < kMaxOutputBytes;
}

void Environment::deliver_progress(uint64_t job, Value content) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (channel_ == nullptr) return;
  progress_.insert_or_assign(job, std::move(content));
  if (progress_wakes_) wake();
}

/// With mutex_ held.
void Environment::wake() {
  if (std::exchange(wake_sent_, true)) return;
  // napi_closing is ordinary: the environment is being torn down and close() is about to run.
  napi_call_threadsafe_function(channel_, nullptr, napi_tsfn_nonblocking);
}

void Environment::on_wake(napi_env env, napi_value /*callback*/, void* context, void* /*data*/) {
  // Null during teardown: the outbox is emptied by close().
  if (env == nullptr) return;
  try {
    static_cast<Environment*>(context)->drain();
  } catch (const Napi::Error&) {  // NOLINT(bugprone-empty-catch)
    // A worker that is being terminated can no longer make JavaScript values, and nothing waits for them.
  }
}

void Environment::drain() {
  std::vector<std::unique_ptr<Job>> settled;
  std::vector<Output> output;
  std::vector<uint32_t> ended_loans;
  std::map<uint64_t, Value> progress;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    wake_sent_ = false;
    progress.swap(progress_);
    if (!progress.empty()) progress_wakes_ = false;
    has_result_.store(false, std::memory_order_relaxed);
    ended_loans.swap(ended_loans_);
    settled.swap(settled_);
    output.swap(output_);
    output_bytes_ = 0;
  }
  const Napi::HandleScope scope(env_);
  if (!progress.empty()) report(progress);
  settle_all(ended_loans, settled);
  // Settling runs no JavaScript: what is printed is seen before the promises' reactions all the same.
  // The listener comes last because what it throws must become an uncaught exception.
  if (output.empty() || output_listener_.IsEmpty()) return;
  napi_value argument = output_array(output);
  napi_value ignored = nullptr;
  napi_call_function(env_, env_.Undefined(), output_listener_.Value(), 1, &argument, &ignored);
}

void Environment::settle_all(const std::vector<uint32_t>& ended_loans,
                             const std::vector<std::unique_ptr<Job>>& settled) {
  // First, so that the code that awaits a call finds its buffers given back.
  for (const uint32_t slot : ended_loans) give_back(slot);
  for (const std::unique_ptr<Job>& job : settled) {
    const Napi::HandleScope scope(env_);
    settle(*job);
  }
}

void Environment::spin_for_result() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_spinning_ = true;
  }
  spin_until(has_result_, kResultSpin);
  std::vector<std::unique_ptr<Job>> settled;
  std::vector<uint32_t> ended_loans;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_spinning_ = false;
    if (settled_.empty() || channel_ == nullptr) return;
    // What was printed is seen before the result, and its listener is not called from within a call.
    if (!output_.empty() || !progress_.empty()) return wake();
    has_result_.store(false, std::memory_order_relaxed);
    ended_loans.swap(ended_loans_);
    settled.swap(settled_);
  }
  settle_all(ended_loans, settled);
}

Napi::Array Environment::take_output() {
  std::vector<Output> output;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    output.swap(output_);
    output_bytes_ = 0;
  }
  return output_array(output);
}

Napi::Array Environment::output_array(const std::vector<Output>& output) const {
  const Napi::Array array = Napi::Array::New(env_, output.size() * 2);
  uint32_t index = 0;
  for (const Output& piece : output) {
    array.Set(index++, Napi::Number::New(env_, piece.stream));
    array.Set(index++, Napi::String::New(env_, piece.text));
  }
  return array;
}

/// The listener throws nothing: it is called before results settle, and they must.
void Environment::report(const std::map<uint64_t, Value>& progress) {
  if (progress_listener_.IsEmpty()) return;
  napi_value argument = progress_array(progress);
  napi_value ignored = nullptr;
  napi_call_function(env_, env_.Undefined(), progress_listener_.Value(), 1, &argument, &ignored);
}

Napi::Array Environment::take_progress() {
  std::map<uint64_t, Value> progress;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    progress.swap(progress_);
    progress_wakes_ = progress.empty();
  }
  return progress_array(progress);
}

/// JavaScript looks for more only after it was given some: when nothing could cross, the next piece has to wake it.
Napi::Array Environment::progress_array(const std::map<uint64_t, Value>& progress) {
  const Napi::Array array = Napi::Array::New(env_);
  uint32_t index = 0;
  for (const auto& [job, content] : progress) {
    try {
      const Napi::Value value(env_, to_javascript(env_, map_, content));
      array.Set(index++, Napi::Number::New(env_, static_cast<double>(job)));
      array.Set(index++, value);
    } catch (const ConversionError&) {  // NOLINT(bugprone-empty-catch)
      // Beyond what JavaScript holds, such as an int of 128 MiB; the hook that told it has gone on.
    }
  }
  if (index == 0) {
    const std::lock_guard<std::mutex> lock(mutex_);
    progress_wakes_ = true;
    if (!progress_.empty()) wake();
  }
  return array;
}

void Environment::stop_expecting(uint64_t job) {
  unexpected_.insert(job);
  if (--pending_ == 0) napi_unref_threadsafe_function(env_, channel_);
}

void Environment::set_listeners(const Napi::Function& on_output,
                                const Napi::Function& on_progress) {
  output_listener_ = Napi::Persistent(on_output);
  progress_listener_ = Napi::Persistent(on_progress);
}

}  // namespace torchbed
