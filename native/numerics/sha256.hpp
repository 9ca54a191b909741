// SHA-256 (FIPS 180-4), with the processor's own instructions where it has them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace torchbed {

using Digest = std::array<std::uint8_t, 32>;

/// Takes bytes in pieces; any thread, one at a time.
class Sha256 {
 public:
  void update(const std::uint8_t* bytes, std::size_t size);
  /// The hash; the object is not used again.
  Digest finish();

 private:
  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, 64> block_ = {};
  std::size_t waiting_ = 0;
  std::uint64_t size_ = 0;
};

/// Takes whole blocks of 64 bytes into the state.
using Compress = void (*)(std::uint32_t state[8], const std::uint8_t* blocks, std::size_t count);

extern const std::uint32_t kSha256Rounds[64];

/// Null where this processor, or this compiler, has no instructions for it.
Compress sha256_instructions();

}  // namespace torchbed
