// The bridge's door: what lib/runtime/embedded/addon.ts sees. JS thread of any environment, no GIL.
#include <napi.h>

#include <algorithm>
#include <string>

#include "../platform/common/exit.hpp"
#include "../platform/common/interrupts.hpp"
#include "environment.hpp"
#include "interpreter.hpp"
#include "loan.hpp"
#include "python.hpp"

namespace torchbed {
namespace {

/// start({executable, version, pythonRoot, env}): Promise<null>
Napi::Value start(const Napi::CallbackInfo& info) {
  const Napi::Object given = info[0].As<Napi::Object>();
  const auto text = [&given](const char* name) -> std::string {
    return given.Get(name).As<Napi::String>();
  };
  auto job = std::make_unique<Job>();
  const Napi::Promise promise = Environment::of(info.Env())->expect(*job);
  StartOptions options{text("executable"), text("version"), text("pythonRoot"), {}};
  const Napi::Object env = given.Get("env").As<Napi::Object>();
  for (const auto& [name, value] : env) {
    options.env.emplace_back(name.As<Napi::String>(), Napi::Value(value).As<Napi::String>());
  }
  Interpreter::instance().start(std::move(options), std::move(job));
  return promise;
}

/// call(session, id, method, title, spins, isUrgent, wantsProgress, words, wordCount, numbers, numberCount, text,
/// objects): Promise. Rejects with {code, message, ...}. The last six are an EncodedValue of lib/runtime/embedded/encoded-value.ts;
/// the id is the caller's, for cancel().
Napi::Value call(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::shared_ptr<Environment> environment = Environment::of(env);
  auto job = std::make_unique<Job>();
  job->session = info[0].As<Napi::Number>().Uint32Value();
  job->id = static_cast<uint64_t>(info[1].As<Napi::Number>().Int64Value());
  job->method = info[2].As<Napi::String>();
  job->title = info[3].As<Napi::String>();
  job->spins = info[4].As<Napi::Boolean>();
  job->is_urgent = info[5].As<Napi::Boolean>();
  job->wants_progress = info[6].As<Napi::Boolean>();
  const napi_value params[] = {info[7], info[8], info[9], info[10], info[11], info[12]};
  job->params = read_encoded(env, params, [&](const Napi::Object& lent_buffer) {
    std::shared_ptr<Loan> loan = environment->lend(lent_buffer);
    job->loans.emplace_back(loan);
    return loan;
  });
  const Napi::Promise promise = environment->expect(*job);
  const bool wait_here = job->spins && environment->is_only_pending();
  Interpreter::instance().submit(std::move(job));
  if (wait_here) environment->spin_for_result();
  return promise;
}

/// cancel(id)
void cancel(const Napi::CallbackInfo& info) {
  Interpreter::instance().cancel(*Environment::of(info.Env()),
                                 static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
}

/// release(session, model)
void release(const Napi::CallbackInfo& info) {
  Interpreter::instance().release(info[0].As<Napi::Number>().Uint32Value(),
                                  info[1].As<Napi::Number>().Uint32Value());
}

/// ownSession(session): it is closed with this environment, should that end first.
void own_session(const Napi::CallbackInfo& info) {
  Environment::of(info.Env())->own_session(info[0].As<Napi::Number>().Uint32Value());
}

/// disownSession(session)
void disown_session(const Napi::CallbackInfo& info) {
  Environment::of(info.Env())->disown_session(info[0].As<Napi::Number>().Uint32Value());
}

/// shutDown(graceMs, exitStatus): boolean. Blocks for at most graceMs; for the `exit` event only.
Napi::Value shut_down(const Napi::CallbackInfo& info) {
  const std::chrono::milliseconds grace(info[0].As<Napi::Number>().Int64Value());
  const int status = info[1].As<Napi::Number>().Int32Value();
  const bool quiet = Interpreter::instance().shut_down(grace);
  if (!quiet) end_without_destructors_if_busy(std::chrono::milliseconds(0), status);
  return Napi::Boolean::New(info.Env(), quiet);
}

/// endNow(exitStatus): leaves the process by _exit() when Python is busy with lent memory, which is
/// about to go with this environment. For the `exit` event only, after shutDown() was not quiet.
void end_now(const Napi::CallbackInfo& info) {
  if (Loan::alive() > 0) leave_without_destructors(info[0].As<Napi::Number>().Int32Value());
}

/// takeOutput(): [stream, text, ...]
Napi::Value take_output(const Napi::CallbackInfo& info) {
  return Environment::of(info.Env())->take_output();
}

const char* state_text(Interpreter::State state) {
  switch (state) {
    case Interpreter::State::kAbsent:
      return "absent";
    case Interpreter::State::kStarting:
      return "starting";
    case Interpreter::State::kRunning:
      return "running";
    case Interpreter::State::kFailed:
      return "failed";
  }
  return "failed";
}

/// status(): {state: 'absent' | 'starting' | 'running' | 'failed', executable, queued, method, ageMs,
/// isOverdue, models, lentBuffers, lentBytes}; method is what a user calls it, '' when no call runs.
Napi::Value status(const Napi::CallbackInfo& info) {
  Interpreter& interpreter = Interpreter::instance();
  const Activity activity = interpreter.activity();
  const Napi::Object result = Napi::Object::New(info.Env());
  result.Set("state", state_text(interpreter.state()));
  result.Set("executable", interpreter.executable());
  result.Set("queued", static_cast<double>(activity.queued));
  result.Set("method", activity.method);
  result.Set("ageMs", activity.age.count());
  result.Set("isOverdue", activity.is_overdue);
  result.Set("models", static_cast<double>(interpreter.models()));
  result.Set("lentBuffers", static_cast<double>(Loan::alive()));
  result.Set("lentBytes", static_cast<double>(Loan::alive_bytes()));
  return result;
}

/// giveUp(id): boolean. Whether it was the running call; its caller no longer waits.
Napi::Value give_up(const Napi::CallbackInfo& info) {
  const auto id = static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value());
  const std::shared_ptr<Environment> environment = Environment::of(info.Env());
  const bool was_running = Interpreter::instance().give_up(*environment, id);
  if (was_running) environment->stop_expecting(id);
  return Napi::Boolean::New(info.Env(), was_running);
}

/// pythonStack(): string. What Python's thread is doing, as faulthandler writes it; empty when that cannot be told.
/// Waits for some milliseconds.
Napi::Value stack_of_python(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), python_stack());
}

/// pythonVersion(): string. What the loaded library says of itself, whether Python was started or not.
Napi::Value python_version(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), Py_GetVersion());
}

/// isOverdue(): boolean. Whether a call runs that was given up.
Napi::Value is_overdue(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), Interpreter::instance().is_overdue());
}

/// adjustExternalMemory(bytes): tells V8 that JavaScript objects keep so much more memory alive outside its
/// heap, or below zero, less.
void adjust_external_memory(const Napi::CallbackInfo& info) {
  Napi::MemoryManagement::AdjustExternalMemory(info.Env(), info[0].As<Napi::Number>().Int64Value());
}

/// takeProgress(): [id, content, ...]
Napi::Value take_progress(const Napi::CallbackInfo& info) {
  return Environment::of(info.Env())->take_progress();
}

/// listen(onOutput, onProgress): once per environment, before anything else. onProgress throws nothing.
void listen(const Napi::CallbackInfo& info) {
  Environment::of(info.Env())
      ->set_listeners(info[0].As<Napi::Function>(), info[1].As<Napi::Function>());
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  Environment::create(env);
  exports.Set("listen", Napi::Function::New(env, listen, "listen"));
  exports.Set("giveUp", Napi::Function::New(env, give_up, "giveUp"));
  exports.Set("pythonStack", Napi::Function::New(env, stack_of_python, "pythonStack"));
  exports.Set("isOverdue", Napi::Function::New(env, is_overdue, "isOverdue"));
  exports.Set("adjustExternalMemory",
              Napi::Function::New(env, adjust_external_memory, "adjustExternalMemory"));
  exports.Set("takeProgress", Napi::Function::New(env, take_progress, "takeProgress"));
  exports.Set("start", Napi::Function::New(env, start, "start"));
  exports.Set("call", Napi::Function::New(env, call, "call"));
  exports.Set("cancel", Napi::Function::New(env, cancel, "cancel"));
  exports.Set("release", Napi::Function::New(env, release, "release"));
  exports.Set("ownSession", Napi::Function::New(env, own_session, "ownSession"));
  exports.Set("disownSession", Napi::Function::New(env, disown_session, "disownSession"));
  exports.Set("shutDown", Napi::Function::New(env, shut_down, "shutDown"));
  exports.Set("endNow", Napi::Function::New(env, end_now, "endNow"));
  exports.Set("takeOutput", Napi::Function::New(env, take_output, "takeOutput"));
  exports.Set("pythonVersion", Napi::Function::New(env, python_version, "pythonVersion"));
  exports.Set("status", Napi::Function::New(env, status, "status"));
  return exports;
}

}  // namespace
}  // namespace torchbed

extern "C" NAPI_MODULE_EXPORT napi_value torchbed_bridge_init(napi_env env, napi_value exports) {
  return Napi::RegisterModule(env, exports, torchbed::init);
}
