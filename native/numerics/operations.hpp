// What the door offers, over whole vectors: each cuts its work into pieces and starts a job.
//
// JS thread. Memory is checked by the caller: the lengths fit together, and nothing is written while another
// operation has it.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels.hpp"

namespace torchbed {

using Values = std::vector<Napi::Value>;

/// A payload of n values, in memory that is lent for the operation.
struct Payload {
  Codec codec = Codec::kFp32;
  std::size_t n = 0;
  std::uint8_t* bytes = nullptr;

  std::uint8_t* scales(std::size_t at) const { return bytes + scales_length(codec, at); }
  std::uint8_t* codes(std::size_t at) const {
    return bytes + scales_length(codec, n) + codes_length(codec, at);
  }
};

/// What becomes of the contributions.
enum class Aggregate : std::uint8_t { kMean, kMedian, kTrimmed };

struct Means {
  Aggregate kind = Aggregate::kMean;
  /// Of each payload, for the mean.
  std::vector<double> shares;
  /// Left out at each end, for the trimmed mean.
  std::size_t trim = 0;
};

/// Resolves with null, or with [fault, payload, index].
Napi::Value encode(Napi::Env env, const Values& lent, const float* x, const Payload& to);
/// total = fl(fl(beta * error) + fl(base - local)), encoded; error may be null.
Napi::Value contribute(Napi::Env env, const Values& lent, const float* base, const float* local,
                       const float* error, float beta, float* total, const Payload& to);
Napi::Value decode(Napi::Env env, const Values& lent, const Payload& from, float* to);
/// out = fl(total - decoded).
Napi::Value remainder(Napi::Env env, const Values& lent, const float* total, const Payload& from,
                      float* out);
/// Resolves with a number, or with a fault.
Napi::Value norm(Napi::Env env, const Values& lent, const Payload& from);
/// Resolves with the norms of the differences of all pairs (0, 1), (0, 2), .., (1, 2), .. or with a fault.
Napi::Value distances(Napi::Env env, const Values& lent, const std::vector<Payload>& from);
Napi::Value aggregate(Napi::Env env, const Values& lent, const std::vector<Payload>& from,
                      const Means& means, float* out);
/// Nothing is written where `to` is null: then it only says whether the step is possible.
Napi::Value apply(Napi::Env env, const Values& lent, const std::vector<Payload>& from,
                  const Means& means, const OuterStep& step, const OuterTile& state,
                  const NewOuterTile& to);
Napi::Value step(Napi::Env env, const Values& lent, std::size_t n, const float* g,
                 const OuterStep& step, const OuterTile& state, const NewOuterTile& to);
Napi::Value mix(Napi::Env env, const Values& lent, std::size_t n, const float* a, const float* b,
                float alpha, float* out);

struct Span {
  const std::uint8_t* bytes = nullptr;
  std::size_t size = 0;
};
/// Resolves with 32 bytes: SHA-256 of the SHA-256 of each MiB of the spans one after the other.
Napi::Value root(Napi::Env env, const Values& lent, const std::vector<Span>& spans);

}  // namespace torchbed
