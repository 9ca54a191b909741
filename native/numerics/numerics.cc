// The door of torchbed_numerics: what lib/diloco/numerics.ts sees. It needs no Python.
//
// Every function takes typed arrays that JavaScript has checked for their kind of memory, returns a promise, and
// works on libuv's threads. Lengths that do not fit together throw at once.
#include <napi.h>

#include <string>
#include <vector>

#include "operations.hpp"

namespace torchbed {
namespace {

/// Reads the arguments of one call, and keeps what it lends.
class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info) {}

  Napi::Env env() const { return info_.Env(); }
  const Values& lent() const { return lent_; }

  double number() { return next().As<Napi::Number>().DoubleValue(); }
  float single() { return static_cast<float>(number()); }
  std::size_t count() { return static_cast<std::size_t>(next().As<Napi::Number>().Int64Value()); }
  bool flag() { return next().As<Napi::Boolean>().Value(); }

  Codec codec() {
    const std::size_t index = count();
    if (index >= kCodecs) throw Napi::TypeError::New(env(), "no such codec");
    return static_cast<Codec>(index);
  }

  /// The first array of a call gives the length of the others.
  float* floats() { return floats(next()); }
  float* floats_or_null() {
    const Napi::Value value = next();
    return value.IsNull() ? nullptr : floats(value);
  }

  Payload payload(Codec codec) { return payload(codec, next()); }

  std::vector<Payload> payloads(Codec codec) {
    const auto array = next().As<Napi::Array>();
    std::vector<Payload> result;
    result.reserve(array.Length());
    for (std::uint32_t i = 0; i < array.Length(); i++) result.push_back(payload(codec, array[i]));
    if (result.empty()) throw Napi::TypeError::New(env(), "no payload");
    return result;
  }

  std::vector<double> numbers() {
    const auto array = next().As<Napi::Float64Array>();
    return {array.Data(), array.Data() + array.ElementLength()};
  }

  std::vector<Span> spans() {
    const auto array = next().As<Napi::Array>();
    std::vector<Span> result;
    result.reserve(array.Length());
    for (std::uint32_t i = 0; i < array.Length(); i++) result.push_back(bytes(array[i]));
    return result;
  }

  void set_length(std::size_t n) {
    n_ = n;
    has_length_ = true;
  }
  std::size_t length() const { return n_; }

 private:
  Napi::Value next() { return info_[at_++]; }

  Span bytes(const Napi::Value& value) {
    if (!value.IsTypedArray()) throw Napi::TypeError::New(env(), "no typed array");
    void* data = nullptr;
    napi_typedarray_type type = napi_uint8_array;
    std::size_t n = 0;
    const napi_status status =
        napi_get_typedarray_info(env(), value, &type, &n, &data, nullptr, nullptr);
    if (status != napi_ok) throw Napi::Error::New(env());
    lent_.push_back(value);
    return {static_cast<const std::uint8_t*>(data), value.As<Napi::TypedArray>().ByteLength()};
  }

  float* floats(const Napi::Value& value) {
    if (!value.IsTypedArray() ||
        value.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array) {
      throw Napi::TypeError::New(env(), "no Float32Array");
    }
    const Span span = bytes(value);
    const std::size_t n = span.size / sizeof(float);
    if (!has_length_) set_length(n);
    if (n != n_) throw Napi::RangeError::New(env(), "the lengths differ");
    return reinterpret_cast<float*>(const_cast<std::uint8_t*>(span.bytes));
  }

  Payload payload(Codec codec, const Napi::Value& value) {
    const Span span = bytes(value);
    if (span.size != encoded_length(codec, n_)) {
      throw Napi::RangeError::New(env(), "the payload has another length");
    }
    return {codec, n_, const_cast<std::uint8_t*>(span.bytes)};
  }

  const Napi::CallbackInfo& info_;
  std::size_t at_ = 0;
  std::size_t n_ = 0;
  bool has_length_ = false;
  Values lent_;
};

/// encode(codec, values, payload)
Napi::Value call_encode(const Napi::CallbackInfo& info) {
  Arguments in(info);
  const Codec codec = in.codec();
  const float* x = in.floats();
  const Payload to = in.payload(codec);
  return encode(in.env(), in.lent(), x, to);
}

/// contribute(codec, base, local, error, beta, total, payload)
Napi::Value call_contribute(const Napi::CallbackInfo& info) {
  Arguments in(info);
  const Codec codec = in.codec();
  const float* base = in.floats();
  const float* local = in.floats();
  const float* error = in.floats_or_null();
  const float beta = in.single();
  float* total = in.floats();
  const Payload to = in.payload(codec);
  return contribute(in.env(), in.lent(), base, local, error, beta, total, to);
}

/// decode(codec, out, payload)
Napi::Value call_decode(const Napi::CallbackInfo& info) {
  Arguments in(info);
  const Codec codec = in.codec();
  float* out = in.floats();
  const Payload from = in.payload(codec);
  return decode(in.env(), in.lent(), from, out);
}

/// remainder(codec, total, out, payload)
Napi::Value call_remainder(const Napi::CallbackInfo& info) {
  Arguments in(info);
  const Codec codec = in.codec();
  const float* total = in.floats();
  float* out = in.floats();
  const Payload from = in.payload(codec);
  return remainder(in.env(), in.lent(), total, from, out);
}

/// norm(codec, n, payload)
Napi::Value call_norm(const Napi::CallbackInfo& info) {
  Arguments in(info);
  const Codec codec = in.codec();
  in.set_length(in.count());
  const Payload from = in.payload(codec);
  return norm(in.env(), in.lent(), from);
}

/// distances(codec, n, payloads)
Napi::Value call_distances(const Napi::CallbackInfo& info) {
  Arguments in(info);
  const Codec codec = in.codec();
  in.set_length(in.count());
  const std::vector<Payload> from = in.payloads(codec);
  return distances(in.env(), in.lent(), from);
}

Means read_means(Arguments& in, std::size_t payloads) {
  Means means;
  const std::size_t kind = in.count();
  means.shares = in.numbers();
  means.trim = in.count();
  const bool fits = kind <= static_cast<std::size_t>(Aggregate::kTrimmed) &&
                    means.shares.size() == payloads && means.trim < (payloads + 1) / 2;
  if (!fits) throw Napi::RangeError::New(in.env(), "the means do not fit the payloads");
  means.kind = static_cast<Aggregate>(kind);
  return means;
}

OuterStep read_step(Arguments& in) {
  OuterStep step;
  const std::size_t kind = in.count();
  if (kind > static_cast<std::size_t>(OuterKind::kAdamW)) {
    throw Napi::TypeError::New(in.env(), "no such outer step");
  }
  step.kind = static_cast<OuterKind>(kind);
  step.is_first = in.flag();
  step.lr = in.single();
  const float decay = in.single();
  step.decays = decay != 0;
  const float lost = step.lr * decay;
  step.kept = 1 - lost;
  step.momentum = in.single();
  step.beta1 = in.single();
  step.rest1 = 1 - step.beta1;
  step.beta2 = in.single();
  step.rest2 = 1 - step.beta2;
  step.bias1 = in.single();
  step.bias2 = in.single();
  step.epsilon = in.single();
  return step;
}

struct State {
  OuterTile now;
  NewOuterTile next;
};

/// theta, m, v, new theta, new m, new v; what the optimizer has no use for is null, as all new ones may be.
State read_state(Arguments& in, OuterKind kind) {
  State state;
  state.now.theta = in.floats();
  state.now.m = in.floats_or_null();
  state.now.v = in.floats_or_null();
  state.next.theta = in.floats_or_null();
  state.next.m = in.floats_or_null();
  state.next.v = in.floats_or_null();
  const bool needs_m = kind != OuterKind::kSgd;
  const bool needs_v = kind == OuterKind::kAdamW;
  const bool writes = state.next.theta != nullptr;
  const bool fits = (!needs_m || state.now.m != nullptr) && (!needs_v || state.now.v != nullptr) &&
                    (!writes || !needs_m || state.next.m != nullptr) &&
                    (!writes || !needs_v || state.next.v != nullptr);
  if (!fits) throw Napi::TypeError::New(in.env(), "a moment is missing");
  return state;
}

/// aggregate(codec, out, payloads, kind, shares, trim)
Napi::Value call_aggregate(const Napi::CallbackInfo& info) {
  Arguments in(info);
  const Codec codec = in.codec();
  float* out = in.floats();
  const std::vector<Payload> from = in.payloads(codec);
  const Means means = read_means(in, from.size());
  return aggregate(in.env(), in.lent(), from, means, out);
}

/// apply(outer.., theta, m, v, new theta, new m, new v, codec, payloads, kind, shares, trim)
Napi::Value call_apply(const Napi::CallbackInfo& info) {
  Arguments in(info);
  const OuterStep step = read_step(in);
  const State state = read_state(in, step.kind);
  const Codec codec = in.codec();
  const std::vector<Payload> from = in.payloads(codec);
  const Means means = read_means(in, from.size());
  return apply(in.env(), in.lent(), from, means, step, state.now, state.next);
}

/// step(outer.., theta, m, v, new theta, new m, new v, mean)
Napi::Value call_step(const Napi::CallbackInfo& info) {
  Arguments in(info);
  const OuterStep outer = read_step(in);
  const State state = read_state(in, outer.kind);
  const float* g = in.floats();
  return step(in.env(), in.lent(), in.length(), g, outer, state.now, state.next);
}

/// mix(a, b, alpha, out)
Napi::Value call_mix(const Napi::CallbackInfo& info) {
  Arguments in(info);
  const float* a = in.floats();
  const float* b = in.floats();
  const float alpha = in.single();
  float* out = in.floats();
  return mix(in.env(), in.lent(), in.length(), a, b, alpha, out);
}

/// root(arrays)
Napi::Value call_root(const Napi::CallbackInfo& info) {
  Arguments in(info);
  const std::vector<Span> spans = in.spans();
  return root(in.env(), in.lent(), spans);
}

void offer_all(Napi::Env env, Napi::Object exports) {
  const auto offer = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  offer("encode", call_encode);
  offer("contribute", call_contribute);
  offer("decode", call_decode);
  offer("remainder", call_remainder);
  offer("norm", call_norm);
  offer("distances", call_distances);
  offer("aggregate", call_aggregate);
  offer("apply", call_apply);
  offer("step", call_step);
  offer("mix", call_mix);
  offer("root", call_root);
}

}  // namespace
}  // namespace torchbed

namespace {

Napi::Object init_numerics(Napi::Env env, Napi::Object exports) {
  torchbed::offer_all(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(torchbed_numerics, init_numerics)
