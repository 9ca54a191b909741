// The value tree to JavaScript values. docs/reference/values.md is the table.
#pragma once

#include <napi.h>

#include "value.hpp"

namespace torchbed {

/// JS thread of `env`, within a handle scope. `map` is the environment's own constructor of Map, captured
/// early so that later changes to globals do not matter. Throws ConversionError (a string beyond V8's
/// limit).
napi_value to_javascript(Napi::Env env, const Napi::FunctionReference& map, const Value& value);

}  // namespace torchbed
