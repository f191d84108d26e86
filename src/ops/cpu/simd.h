// Sixteen floats at a time through the compiler's vector types: one text for AVX-512, AVX2 and
// plain hardware. Functions marked RUNG_MULTIVERSION are compiled once per instruction set and
// chosen when the program starts.
#pragma once
#include <cstdint>
#include <cstring>

#define RUNG_MULTIVERSION \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define RUNG_INLINE __attribute__((always_inline)) inline

namespace rung::simd {

typedef float F16 __attribute__((vector_size(64)));
typedef int32_t I16 __attribute__((vector_size(64)));
typedef float F16Unaligned __attribute__((vector_size(64), aligned(4)));

constexpr int64_t lanes = 16;

RUNG_INLINE F16 load(const float* p) {
  return *reinterpret_cast<const F16Unaligned*>(p);
}
RUNG_INLINE void store(float* p, F16 v) {
  *reinterpret_cast<F16Unaligned*>(p) = v;
}
RUNG_INLINE F16 splat(float x) {
  return F16{} + x;
}

// The first `count` (< 16) floats, the rest `fill`.
RUNG_INLINE F16 load_part(const float* p, int64_t count, float fill = 0.0f) {
  F16 v = splat(fill);
  for (int64_t i = 0; i < count; ++i) v[i] = p[i];
  return v;
}
RUNG_INLINE void store_part(float* p, F16 v, int64_t count) {
  for (int64_t i = 0; i < count; ++i) p[i] = v[i];
}

RUNG_INLINE F16 max(F16 a, F16 b) {
  return a > b ? a : b;
}
RUNG_INLINE F16 min(F16 a, F16 b) {
  return a < b ? a : b;
}

// Sums and maxima over the sixteen lanes in a fixed tree order.
RUNG_INLINE float sum(F16 v) {
  v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
  v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  return v[0] + v[1];
}
RUNG_INLINE float maximum(F16 v) {
  v = max(v, __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  v = max(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
  v = max(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
  return v[0] > v[1] ? v[0] : v[1];
}

// e^x to 2 ulp for x in [-87, 88], clamped outside: 2^n times a degree-6 polynomial on |r| <=
// ln(2)/2.
RUNG_INLINE F16 exp(F16 x) {
  x = min(max(x, splat(-87.0f)), splat(88.0f));
  const F16 magic = splat(12582912.0f);  // 1.5 * 2^23 rounds to the nearest integer
  const F16 shifted = x * 1.44269504f + magic;
  const F16 n = shifted - magic;
  const F16 r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  F16 p = splat(1.38888889e-3f);
  p = p * r + 8.33333333e-3f;
  p = p * r + 4.16666667e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  I16 bits, offset;
  std::memcpy(&bits, &shifted, sizeof bits);
  std::memcpy(&offset, &magic, sizeof offset);
  I16 value;
  std::memcpy(&value, &p, sizeof value);
  value += (bits - offset) << 23;
  std::memcpy(&p, &value, sizeof p);
  return p;
}

}  // namespace rung::simd
