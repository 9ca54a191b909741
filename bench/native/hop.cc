// torchbed_hop.node: the same way to a thread and back that a call takes, without Python.
//
// hop(): Promise<null>. The thread takes a job off a queue under a mutex and puts it into an outbox,
// which the JS thread empties when its thread-safe function wakes it. What a call into Python costs
// beyond this is Python and the conversion of values.
#include <napi.h>
#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace {

struct Job {
  Napi::Promise::Deferred deferred;
};

class Hop {
 public:
  explicit Hop(Napi::Env env) : env_(env) {
    napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "hop"), 0, 1,
                                    nullptr, nullptr, this, &Hop::on_wake, &channel_);
    napi_unref_threadsafe_function(env, channel_);
    std::thread([this] { run(); }).detach();
  }

  Napi::Promise hop() {
    if (pending_++ == 0) napi_ref_threadsafe_function(env_, channel_);
    auto job = std::make_unique<Job>(Job{Napi::Promise::Deferred::New(env_)});
    const Napi::Promise promise = job->deferred.Promise();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      queue_.push_back(std::move(job));
    }
    work_.notify_one();
    return promise;
  }

 private:
  void run() {
#ifdef __linux__
    pthread_setname_np(pthread_self(), "torchbed-hop");
#endif
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      work_.wait(lock, [this] { return !queue_.empty(); });
      std::unique_ptr<Job> job = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      const std::lock_guard<std::mutex> outbox(outbox_mutex_);
      done_.push_back(std::move(job));
      if (!std::exchange(wake_sent_, true)) {
        napi_call_threadsafe_function(channel_, nullptr, napi_tsfn_nonblocking);
      }
    }
  }

  static void on_wake(napi_env env, napi_value /*callback*/, void* context, void* /*data*/) {
    if (env != nullptr) static_cast<Hop*>(context)->drain();
  }

  void drain() {
    std::vector<std::unique_ptr<Job>> done;
    {
      const std::lock_guard<std::mutex> lock(outbox_mutex_);
      wake_sent_ = false;
      done.swap(done_);
    }
    const Napi::HandleScope scope(env_);
    for (const std::unique_ptr<Job>& job : done) {
      if (--pending_ == 0) napi_unref_threadsafe_function(env_, channel_);
      job->deferred.Resolve(env_.Null());
    }
  }

  const Napi::Env env_;
  napi_threadsafe_function channel_ = nullptr;
  int pending_ = 0;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::unique_ptr<Job>> queue_;
  std::mutex outbox_mutex_;
  std::vector<std::unique_ptr<Job>> done_;
  bool wake_sent_ = false;
};

Napi::Object init(Napi::Env env, Napi::Object exports) {
  // Leaked: its thread waits for as long as the process lives.
  auto* hop = new Hop(env);
  exports.Set("hop",
              Napi::Function::New(env, [hop](const Napi::CallbackInfo&) { return hop->hop(); }));
  return exports;
}

}  // namespace

NODE_API_MODULE(torchbed_hop, init)
