// torchbed.node: opens libpython for the whole process, then the bridge beside it.
//
// It holds no Python symbol, so that Node can load it before a Python has been chosen. The bridge's
// Python symbols, and those of every extension module, then resolve from the global scope: wheels and
// lib-dynload modules do not link libpython, so RTLD_GLOBAL is not optional.
#include <dlfcn.h>
#include <napi.h>

#include <mutex>
#include <string>

namespace {

using BridgeInit = napi_value (*)(napi_env, napi_value);

/// What this process has opened. Guarded by `mutex`: environments on several threads may load at once.
struct Opened {
  std::mutex mutex;
  std::string libpython;
  std::string bridge;
  BridgeInit init = nullptr;
};

// Leaked on purpose: worker threads may still be loading while static destructors run.
Opened& opened() {
  static auto* instance = new Opened;
  return *instance;
}

void* open_library(const Napi::Env env, const std::string& path, int flags) {
  void* handle = dlopen(path.c_str(), flags);
  if (handle == nullptr) {
    const char* reason = dlerror();
    throw Napi::Error::New(env, reason == nullptr ? "dlopen failed: " + path : reason);
  }
  return handle;
}

/// load(libpython, bridge): the bridge's exports for this environment. JS thread of any environment.
/// Throws when a library cannot be opened, or when this process already runs another libpython.
Napi::Value load(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string libpython = info[0].As<Napi::String>();
  const std::string bridge = info[1].As<Napi::String>();
  Opened& state = opened();
  BridgeInit init = nullptr;
  {
    const std::lock_guard<std::mutex> lock(state.mutex);
    if (state.init == nullptr) {
      open_library(env, libpython, RTLD_NOW | RTLD_GLOBAL);
      void* handle = open_library(env, bridge, RTLD_NOW | RTLD_LOCAL);
      void* symbol = dlsym(handle, "torchbed_bridge_init");
      if (symbol == nullptr) throw Napi::Error::New(env, bridge + " is not a torchbed bridge");
      state.libpython = libpython;
      state.bridge = bridge;
      state.init = reinterpret_cast<BridgeInit>(symbol);
    } else if (state.libpython != libpython) {
      throw Napi::Error::New(env, "this process already runs " + state.libpython);
    }
    init = state.init;
  }
  const Napi::Object exports = Napi::Object::New(env);
  return {env, init(env, exports)};
}

/// loaded(): the path of the libpython that this process runs, or null. JS thread of any environment.
Napi::Value loaded(const Napi::CallbackInfo& info) {
  Opened& state = opened();
  const std::lock_guard<std::mutex> lock(state.mutex);
  if (state.init == nullptr) return info.Env().Null();
  return Napi::String::New(info.Env(), state.libpython);
}

Napi::Object init_loader(Napi::Env env, Napi::Object exports) {
  exports.Set("load", Napi::Function::New(env, load, "load"));
  exports.Set("loaded", Napi::Function::New(env, loaded, "loaded"));
  return exports;
}

}  // namespace

NODE_API_MODULE(torchbed, init_loader)
