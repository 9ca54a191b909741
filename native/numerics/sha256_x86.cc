// SHA-256 with the SHA extensions of x86-64.
#include "sha256.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>

namespace torchbed {
namespace {

#define TORCHBED_SHA __attribute__((target("sha,sse4.1,ssse3")))

/// Four rounds; `message` holds their words.
TORCHBED_SHA inline void four_rounds(__m128i& abef, __m128i& cdgh, __m128i message, int round) {
  const __m128i words = _mm_add_epi32(
      message, _mm_loadu_si128(reinterpret_cast<const __m128i*>(kSha256Rounds + round)));
  cdgh = _mm_sha256rnds2_epu32(cdgh, abef, words);
  abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(words, 0x0e));
}

/// The four words after those of a, b, c and d, which are the last sixteen.
TORCHBED_SHA inline __m128i next_words(__m128i a, __m128i b, __m128i c, __m128i d) {
  const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(a, b), _mm_alignr_epi8(d, c, 4));
  return _mm_sha256msg2_epu32(sum, d);
}

TORCHBED_SHA void compress(std::uint32_t state[8], const std::uint8_t* blocks, std::size_t count) {
  const __m128i swapped = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  auto* low = reinterpret_cast<__m128i*>(state);
  auto* high = reinterpret_cast<__m128i*>(state + 4);
  // The instructions want the words in the orders A B E F and C D G H, from the highest lane down.
  const __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128(low), 0xb1);
  const __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128(high), 0x1b);
  __m128i abef = _mm_alignr_epi8(badc, hgfe, 8);
  __m128i cdgh = _mm_blend_epi16(hgfe, badc, 0xf0);
  for (std::size_t block = 0; block < count; block++, blocks += 64) {
    const __m128i abef_before = abef;
    const __m128i cdgh_before = cdgh;
    __m128i w[4];
    for (std::size_t i = 0; i < 4; i++) {
      const auto* from = reinterpret_cast<const __m128i*>(blocks + 16 * i);
      w[i] = _mm_shuffle_epi8(_mm_loadu_si128(from), swapped);
      four_rounds(abef, cdgh, w[i], static_cast<int>(4 * i));
    }
#pragma GCC unroll 12
    for (int i = 4; i < 16; i++) {
      w[i % 4] = next_words(w[i % 4], w[(i + 1) % 4], w[(i + 2) % 4], w[(i + 3) % 4]);
      four_rounds(abef, cdgh, w[i % 4], 4 * i);
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);
  _mm_storeu_si128(low, _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(high, _mm_alignr_epi8(dchg, feba, 8));
}

}  // namespace

Compress sha256_instructions() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  const bool has_sha = __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx >> 29 & 1) != 0;
  return has_sha && __builtin_cpu_supports("sse4.1") ? compress : nullptr;
}

}  // namespace torchbed
#else
namespace torchbed {

Compress sha256_instructions() { return nullptr; }

}  // namespace torchbed
#endif
