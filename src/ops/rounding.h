// One number onto a grid: the text that the CPU's and the GPU's kernels share.
#pragma once
#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define RUNG_BOTH __host__ __device__ inline
#else
#define RUNG_BOTH __attribute__((always_inline)) inline
#endif

namespace rung {

// A Grid (core/quantiser.h) as kernels read it.
struct Rounding {
  int mantissa_bits, lowest;
  float largest, smallest, beyond;
  bool stochastic;
  uint64_t key;
  // Of a scale from the largest magnitude, where it is not fixed: `rule` counts as ScaleRule.
  int rule, top;  // top: floor(log2 largest)
};

template <class To, class From>
RUNG_BOTH To same_bits(From x) {
  static_assert(sizeof(To) == sizeof(From));
  To y;
  memcpy(&y, &x, sizeof y);
  return y;
}

RUNG_BOTH double power_of_two(int exponent) {
  return same_bits<double>(static_cast<int64_t>(1023 + exponent) << 52);
}

// 32 bits from a key, a place and the number that stands there: no state, so that a step computed
// anew, in another company or on another device rounds alike. Steps differ as the numbers do.
RUNG_BOTH uint32_t rounding_bits(uint64_t key, uint64_t index, uint32_t value) {
  uint64_t x = key ^ (index << 32 | value);  // splitmix64's finaliser, as mix_bits
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return static_cast<uint32_t>((x ^ (x >> 31)) >> 32);
}

// Number `index` of the sequence that a key names (splitmix64, Steele et al. 2014), two draws of 32
// bits: for numbers of which every step rounds another, whatever stands there.
RUNG_BOTH uint64_t two_draws(uint64_t key, uint64_t index) {
  uint64_t x = key + (index + 1) * 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// To the nearest of the grid, ties to even, or up with the probability of what lies below: where
// the draw over 2^32 fills it up.
RUNG_BOTH float round_by_draw(float x, const Rounding& r, uint32_t draw) {
  const uint32_t bits = same_bits<uint32_t>(x);
  const int own = static_cast<int>(bits >> 23 & 255) - 127;
  const int exponent = own > r.lowest ? own : r.lowest;
  const double y = static_cast<double>(same_bits<float>(bits & 0x7fffffffu)) *
                   power_of_two(r.mantissa_bits - exponent);
  constexpr double magic = 6755399441055744.0;  // 1.5 x 2^52: what is added to it becomes whole
  double whole;
  if (r.stochastic) {
    const double above = y + draw * 0x1p-32;
    whole = (above + magic) - magic;
    whole = whole > above ? whole - 1.0 : whole;
  } else {
    whole = (y + magic) - magic;
  }
  float value = static_cast<float>(whole * power_of_two(exponent - r.mantissa_bits));
  value = value < r.smallest ? 0.0f : value;
  value = value > r.largest ? r.beyond : value;
  return same_bits<float>(same_bits<uint32_t>(value) | (bits & 0x80000000u));
}

RUNG_BOTH float round_to_grid(float x, const Rounding& r, uint64_t index) {
  return round_by_draw(x, r,
                       r.stochastic ? rounding_bits(r.key, index, same_bits<uint32_t>(x)) : 0);
}

// Scale of numbers whose largest magnitude is given.
RUNG_BOTH float scale_for(float magnitude, const Rounding& r) {
  if (!(magnitude > 0.0f)) return 1.0f;
  constexpr float most = 0x1p126f;
  if (r.rule == 2) {
    int exponent = r.top + 127 - static_cast<int>(same_bits<uint32_t>(magnitude) >> 23);
    exponent = exponent > 126 ? 126 : exponent < -126 ? -126 : exponent;
    return same_bits<float>(static_cast<uint32_t>(exponent + 127) << 23);
  }
  float scale = r.largest / magnitude;
  scale = scale < most ? scale : most;
  return r.rule == 1 ? same_bits<float>(same_bits<uint32_t>(scale) & 0x7f800000u) : scale;
}

}  // namespace rung
