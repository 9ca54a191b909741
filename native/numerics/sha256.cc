// SHA-256 for every processor.
#include "sha256.hpp"

#include <algorithm>
#include <cstring>

namespace torchbed {

const std::uint32_t kSha256Rounds[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

namespace {

constexpr std::size_t kBlock = 64;

std::uint32_t turned(std::uint32_t x, int by) { return x >> by | x << (32 - by); }

std::uint32_t word_at(const std::uint8_t* from) {
  return static_cast<std::uint32_t>(from[0]) << 24 | static_cast<std::uint32_t>(from[1]) << 16 |
         static_cast<std::uint32_t>(from[2]) << 8 | from[3];
}

void compress_block(std::uint32_t state[8], const std::uint8_t* block) {
  std::uint32_t w[64];
  for (std::size_t i = 0; i < 16; i++) w[i] = word_at(block + 4 * i);
  for (int i = 16; i < 64; i++) {
    const std::uint32_t a = w[i - 15];
    const std::uint32_t b = w[i - 2];
    w[i] = w[i - 16] + (turned(a, 7) ^ turned(a, 18) ^ (a >> 3)) + w[i - 7] +
           (turned(b, 17) ^ turned(b, 19) ^ (b >> 10));
  }
  std::uint32_t v[8];
  std::copy(state, state + 8, v);
  for (int i = 0; i < 64; i++) {
    const std::uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
    const std::uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
    const std::uint32_t first = v[7] + (turned(v[4], 6) ^ turned(v[4], 11) ^ turned(v[4], 25)) +
                                choice + kSha256Rounds[i] + w[i];
    const std::uint32_t second = (turned(v[0], 2) ^ turned(v[0], 13) ^ turned(v[0], 22)) + majority;
    std::copy_backward(v, v + 7, v + 8);
    v[4] += first;
    v[0] = first + second;
  }
  for (int i = 0; i < 8; i++) state[i] += v[i];
}

void compress(std::uint32_t state[8], const std::uint8_t* blocks, std::size_t count) {
  for (std::size_t i = 0; i < count; i++) compress_block(state, blocks + kBlock * i);
}

Compress chosen() {
  static const Compress fastest = [] {
    const Compress instructions = sha256_instructions();
    return instructions == nullptr ? compress : instructions;
  }();
  return fastest;
}

}  // namespace

void Sha256::update(const std::uint8_t* bytes, std::size_t size) {
  size_ += size;
  if (waiting_ > 0) {
    const std::size_t taken = std::min(size, kBlock - waiting_);
    std::memcpy(block_.data() + waiting_, bytes, taken);
    waiting_ += taken;
    bytes += taken;
    size -= taken;
    if (waiting_ < kBlock) return;
    chosen()(state_.data(), block_.data(), 1);
    waiting_ = 0;
  }
  chosen()(state_.data(), bytes, size / kBlock);
  waiting_ = size % kBlock;
  if (waiting_ > 0) std::memcpy(block_.data(), bytes + (size - waiting_), waiting_);
}

Digest Sha256::finish() {
  const std::uint64_t bits = size_ * 8;
  const std::array<std::uint8_t, kBlock> padding = {0x80};
  update(padding.data(), 1 + (kBlock + 55 - waiting_) % kBlock);
  std::array<std::uint8_t, 8> length = {};
  for (std::size_t i = 0; i < length.size(); i++) {
    length[i] = static_cast<std::uint8_t>(bits >> (56 - 8 * i));
  }
  update(length.data(), length.size());
  Digest digest = {};
  for (std::size_t i = 0; i < digest.size(); i++) {
    digest[i] = static_cast<std::uint8_t>(state_[i / 4] >> (24 - 8 * (i % 4)));
  }
  return digest;
}

}  // namespace torchbed
