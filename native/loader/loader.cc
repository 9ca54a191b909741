// torchbed.node: opens libpython for the whole process, then the bridge beside it.
//
// It holds no Python symbol, so that Node can load it before a Python has been chosen. The bridge's
// Python symbols, and those of every extension module, then resolve from what this process has opened.
#include <napi.h>

#include <mutex>
#include <string>

#include "../platform/common/shared_library.hpp"

namespace {

using BridgeInit = napi_value (*)(napi_env, napi_value);

/// What this process has opened. Guarded by `mutex`: environments on several threads may load at once.
struct Opened {
  std::mutex mutex;
  /// Empty before one is open. It stays so, whether the bridge can be opened or not.
  std::string libpython;
  BridgeInit init = nullptr;
};

// Leaked on purpose: worker threads may still be loading while static destructors run.
Opened& opened() {
  static auto* instance = new Opened;
  return *instance;
}

BridgeInit open_bridge(const std::string& bridge) {
  void* symbol = torchbed::find_symbol(torchbed::open_library(bridge, torchbed::Scope::kLocal),
                                       "torchbed_bridge_init");
  if (symbol == nullptr) throw torchbed::LibraryError(bridge + " is not a torchbed bridge");
  return reinterpret_cast<BridgeInit>(symbol);
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
    if (!state.libpython.empty() && state.libpython != libpython) {
      throw Napi::Error::New(env, "this process already runs " + state.libpython);
    }
    try {
      if (state.libpython.empty()) torchbed::open_python(libpython);
      state.libpython = libpython;
      if (state.init == nullptr) state.init = open_bridge(bridge);
    } catch (const torchbed::LibraryError& error) {
      throw Napi::Error::New(env, error.what());
    }
    init = state.init;
  }
  const Napi::Object exports = Napi::Object::New(env);
  return {env, init(env, exports)};
}

/// loaded(): the path of the libpython that this process has opened, or null. JS thread of any environment.
Napi::Value loaded(const Napi::CallbackInfo& info) {
  Opened& state = opened();
  const std::lock_guard<std::mutex> lock(state.mutex);
  if (state.libpython.empty()) return info.Env().Null();
  return Napi::String::New(info.Env(), state.libpython);
}

Napi::Object init_loader(Napi::Env env, Napi::Object exports) {
  torchbed::keep_this_library();
  exports.Set("load", Napi::Function::New(env, load, "load"));
  exports.Set("loaded", Napi::Function::New(env, loaded, "loaded"));
  return exports;
}

}  // namespace

NODE_API_MODULE(torchbed, init_loader)
