#include "job.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include "float_mode.hpp"

namespace torchbed {
namespace {

/// libuv has four threads as it comes; file operations need some of them soon again.
constexpr std::size_t kThreads = 4;

struct Running {
  Running(Napi::Env env, std::size_t pieces)
      : job(pieces), deferred(Napi::Promise::Deferred::New(env)) {}
  Job job;
  Work work;
  Answer answer;
  Napi::Promise::Deferred deferred;
  std::vector<Napi::Reference<Napi::Value>> lent;
  /// JS thread.
  std::size_t threads = 0;
  std::string failure;
};

class Worker : public Napi::AsyncWorker {
 public:
  Worker(Napi::Env env, std::shared_ptr<Running> running)
      : Napi::AsyncWorker(env, "torchbed_numerics"), running_(std::move(running)) {}

 protected:
  void Execute() override {
    const FloatMode mode;
    running_->work(running_->job);
  }
  void OnOK() override { end(); }
  void OnError(const Napi::Error& error) override {
    running_->failure = error.Message();
    end();
  }

 private:
  void end() {
    Running& running = *running_;
    if (--running.threads > 0) return;
    running.lent.clear();
    if (running.failure.empty()) {
      running.deferred.Resolve(running.answer(Env(), running.job));
    } else {
      running.deferred.Reject(Napi::Error::New(Env(), running.failure).Value());
    }
  }

  std::shared_ptr<Running> running_;
};

}  // namespace

bool Job::claim(std::size_t& piece) {
  if (has_failed_.load(std::memory_order_relaxed)) return false;
  piece = next_.fetch_add(1, std::memory_order_relaxed);
  return piece < pieces_;
}

void Job::fail(std::size_t piece, const PayloadFault& fault) {
  const std::lock_guard<std::mutex> lock(mutex_);
  has_failed_ = true;
  if (piece >= failed_piece_) return;
  failed_piece_ = piece;
  fault_ = fault;
}

Napi::Promise start(Napi::Env env, std::size_t pieces, const std::vector<Napi::Value>& lent,
                    Work work, Answer answer) {
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  auto running = std::make_shared<Running>(env, pieces);
  running->work = std::move(work);
  running->answer = std::move(answer);
  running->threads = std::max<std::size_t>(1, std::min({pieces, cores, kThreads}));
  for (const Napi::Value& value : lent) running->lent.push_back(Napi::Persistent(value));
  Napi::Promise promise = running->deferred.Promise();
  for (std::size_t i = running->threads; i > 0; i--) (new Worker(env, running))->Queue();
  return promise;
}

}  // namespace torchbed
