// The loops over one tile, compiled for the processor at hand. All of them give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec.hpp"

namespace torchbed {

enum class OuterKind : std::uint8_t { kSgd, kMomentum, kNesterov, kAdamW };

/// The scalars of one outer step, in binary32.
struct OuterStep {
  OuterKind kind = OuterKind::kSgd;
  /// The first step takes the mean itself as the momentum.
  bool is_first = false;
  bool decays = false;
  float lr = 0;
  /// What decay leaves of a parameter.
  float kept = 1;
  float momentum = 0;
  float beta1 = 0, rest1 = 0, beta2 = 0, rest2 = 0;
  /// Corrections of the bias of AdamW's moments.
  float bias1 = 1, bias2 = 1;
  float epsilon = 0;
};

/// A tile of the outer state; what the optimizer does not have is null.
struct OuterTile {
  const float* theta = nullptr;
  const float* m = nullptr;
  const float* v = nullptr;
};
/// Where it goes; may be the same memory. All null: only computed.
struct NewOuterTile {
  float* theta = nullptr;
  float* m = nullptr;
  float* v = nullptr;
};

constexpr std::size_t kFits = SIZE_MAX;
/// Sums that run side by side: each is a chain of additions, which one alone would wait for.
constexpr std::size_t kChains = 4;

/// n is kTile at most. Any thread; nothing is kept between calls.
struct Kernels {
  /// Index of the first value that is not finite or too large, else kFits.
  std::size_t (*encode)(Codec, const float* x, std::size_t n, std::uint8_t* scales,
                        std::uint8_t* codes);
  /// Writes all of `out`, or finds a fault.
  Fault (*decode)(Codec, const std::uint8_t* scales, const std::uint8_t* codes, std::size_t n,
                  float* out);
  /// out = fl(fl(beta * error) + fl(base - local)); without an error, fl(base - local) + 0.
  void (*total)(const float* base, const float* local, const float* error, float beta, float* out,
                std::size_t n);
  void (*subtract)(const float* a, const float* b, float* out, std::size_t n);
  void (*mix)(const float* a, const float* b, float alpha, float* out, std::size_t n);
  /// sums[i] += x[i][j]^2 for each j in order.
  void (*add_squares)(const float* const x[kChains], std::size_t n, double sums[kChains]);
  void (*add_share)(double* sum, const float* x, double share, std::size_t n);
  void (*narrow)(const double* sum, float* out, std::size_t n);
  /// Sorts each column of `rows`, with -0 as +0.
  void (*sort_columns)(float* const* rows, std::size_t count, std::size_t n);
  /// Mean of the rows from..to of each column, added in order.
  void (*mean_of_rows)(const float* const* rows, std::size_t from, std::size_t to, double* sum,
                       float* out, std::size_t n);
  /// False when a new value is not finite.
  bool (*step)(const OuterStep&, const OuterTile&, const float* g, const NewOuterTile&,
               std::size_t n);
};

/// The fastest that this processor runs.
const Kernels& kernels();

const Kernels& portable_kernels();
#ifdef TORCHBED_AVX2
const Kernels& avx2_kernels();
#endif

}  // namespace torchbed
