// AdamW on moments in fewer bits: a block at a time is made of floats and written back.
#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace rung::cpu {
namespace {

constexpr int64_t block = moment_block;

RUNG_INLINE void read_block(const SmallMoments& s, int64_t at, int64_t count, float* m, float* v) {
  const uint16_t* second = static_cast<const uint16_t*>(s.v) + at;
  for (int64_t i = 0; i < count; ++i) v[i] = from_bf16(second[i]);
  if (s.kind == MomentKind::bf16) {
    const uint16_t* codes = static_cast<const uint16_t*>(s.m) + at;
    for (int64_t i = 0; i < count; ++i) m[i] = from_bf16(codes[i]);
  } else {
    const uint8_t* codes = static_cast<const uint8_t*>(s.m) + at;
    for (int64_t i = 0; i < count; ++i) m[i] = from_e4m3(codes[i]) * s.scale[at / block];
  }
}

RUNG_INLINE void write_block(const SmallMoments& s, int64_t at, int64_t count, const float* m,
                             const float* v, const uint64_t* key) {
  const bool drawn = key != nullptr;
  uint64_t draws[block] = {};
  if (drawn)
    for (int64_t i = 0; i < count; ++i) draws[i] = two_draws(*key, static_cast<uint64_t>(at + i));
  uint16_t* second = static_cast<uint16_t*>(s.v) + at;
  for (int64_t i = 0; i < count; ++i)
    second[i] = to_bf16(v[i], drawn, static_cast<uint32_t>(draws[i]));
  if (s.kind == MomentKind::bf16) {
    uint16_t* codes = static_cast<uint16_t*>(s.m) + at;
    for (int64_t i = 0; i < count; ++i)
      codes[i] = to_bf16(m[i], drawn, static_cast<uint32_t>(draws[i] >> 32));
    return;
  }
  float most = 0.0f;
  for (int64_t i = 0; i < count; ++i) {
    const float size = m[i] < 0.0f ? -m[i] : m[i];
    most = size > most ? size : most;
  }
  const float scale = scale_for(most, moment_grid(drawn));
  s.scale[at / block] = 1.0f / scale;
  uint8_t* codes = static_cast<uint8_t*>(s.m) + at;
  for (int64_t i = 0; i < count; ++i)
    codes[i] = to_e4m3(m[i] * scale, drawn, static_cast<uint32_t>(draws[i] >> 32));
}

}  // namespace

RUNG_MULTIVERSION
void adamw_small(int64_t begin, int64_t size, const AdamStep& step, const float* gradient,
                 float* weight, const SmallMoments& moments, const uint64_t* key) {
  for (int64_t at = begin; at < begin + size; at += block) {
    const int64_t left = begin + size - at, count = left < block ? left : block;
    float m[block], v[block];
    read_block(moments, at, count, m, v);
    adamw(count, step, gradient + at, weight + at, m, v);
    write_block(moments, at, count, m, v, key);
  }
}

}  // namespace rung::cpu
