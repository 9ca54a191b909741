// JavaScript values to the value tree and back. docs/values.md is the table.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>

#include "place.hpp"
#include "value.hpp"

namespace torchbed {

/// Constructors and functions of one environment that the converter compares with or calls,
/// captured when the addon is loaded, so that later changes to globals do not matter.
struct Intrinsics {
  Napi::FunctionReference map;
  Napi::FunctionReference array_from;
  Napi::FunctionReference date_to_iso_string;
  /// `PyFloat` of lib/runtime/values.ts: a number that must be a Python float even when it is whole.
  Napi::FunctionReference py_float;
  /// `LentBuffer` of lib/runtime/lent-buffer.ts.
  Napi::FunctionReference lent_buffer;

  explicit Intrinsics(Napi::Env env);
  /// JS thread, before the environment goes: references cannot be dropped after it.
  void reset();
};

/// Lends the ArrayBuffer of a `LentBuffer`. Throws ConversionError when that is not possible.
using Lend = std::function<std::shared_ptr<Loan>(const Napi::Object& lent_buffer, const Place&)>;

/// JS thread of `env`. Runs user code (getters, proxies), whose exceptions pass through.
/// Throws ConversionError for what cannot cross.
Value from_javascript(Napi::Env env, const Intrinsics& intrinsics, napi_value value,
                      const Lend& lend);

/// JS thread of `env`, within a handle scope. Throws ConversionError (a string beyond V8's limit).
napi_value to_javascript(Napi::Env env, const Intrinsics& intrinsics, const Value& value);

}  // namespace torchbed
