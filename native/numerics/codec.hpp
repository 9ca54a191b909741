// The codecs of contributions: how long a payload is, and where in it the parts of a tile lie.
//
// All offsets are pure functions of the number of values, so that tiles are encoded and decoded on any
// thread in any order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace torchbed {

/// Values in the order of `CODEC_NUMBERS` in lib/diloco/numerics.ts.
enum class Codec : std::uint8_t { kFp32, kFp16, kBf16, kInt8, kInt4, kSign, kTopK };
constexpr std::size_t kCodecs = 7;

/// Elements that a kernel handles at once: a multiple of every block, and small enough for a core's own cache.
constexpr std::size_t kTile = 4096;
/// Elements of one partial sum of a norm, and of the piece of work that a thread takes.
constexpr std::size_t kStripe = 65'536;

constexpr std::size_t kIntegerBlock = 256;
constexpr std::size_t kSignBlock = 1024;
/// Values kept of a full chunk of top-k.
constexpr std::size_t kKept = 64;
constexpr std::size_t kTopKBytes = 8 + kKept * 12 / 8 + kKept * 2 / 8;

// Static: each file has its own, compiled for its own processors.
static constexpr std::size_t divided_up(std::size_t n, std::size_t by) {
  return n / by + (n % by != 0);
}

/// Values kept of a chunk of top-k with `length` values.
static constexpr std::size_t kept_of(std::size_t length) {
  const std::size_t share = length * kKept / kTile;
  return share == 0 ? 1 : share;
}

/// Bytes before the codes: one binary32 scale a block.
static constexpr std::size_t scales_length(Codec codec, std::size_t n) {
  switch (codec) {
    case Codec::kInt8:
    case Codec::kInt4:
      return 4 * divided_up(n, kIntegerBlock);
    case Codec::kSign:
      return 4 * divided_up(n, kSignBlock);
    default:
      return 0;
  }
}

/// Bytes of the codes of n values, which are whole tiles or the end of the vector.
static constexpr std::size_t codes_length(Codec codec, std::size_t n) {
  switch (codec) {
    case Codec::kFp32:
      return 4 * n;
    case Codec::kFp16:
    case Codec::kBf16:
      return 2 * n;
    case Codec::kInt8:
      return n;
    case Codec::kInt4:
      return divided_up(n, 2);
    case Codec::kSign:
      return divided_up(n, 8);
    case Codec::kTopK: {
      const std::size_t rest = n % kTile;
      const std::size_t last =
          rest == 0 ? 0 : 8 + divided_up(12 * kept_of(rest), 8) + divided_up(2 * kept_of(rest), 8);
      return n / kTile * kTopKBytes + last;
    }
  }
  return 0;
}

static constexpr std::size_t encoded_length(Codec codec, std::size_t n) {
  return scales_length(codec, n) + codes_length(codec, n);
}

/// What a receiver finds in a payload that `encode` never writes; kOverflow: a new parameter or moment is not finite.
/// In the order of `FAULTS` in lib/diloco/numerics.ts.
enum class FaultKind : std::uint8_t { kNone, kScale, kCode, kPadding, kIndices, kValue, kOverflow };

/// The first fault of a tile; `index` is an element: the first of its block for scales, of its chunk for indices.
struct Fault {
  FaultKind kind = FaultKind::kNone;
  std::size_t index = 0;
  explicit operator bool() const { return kind != FaultKind::kNone; }
};

}  // namespace torchbed
