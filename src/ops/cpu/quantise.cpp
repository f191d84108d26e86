#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace rung::cpu {
namespace {

RUNG_INLINE float largest_magnitude(int64_t count, const float* x) {
  simd::F16 most{};
  int64_t i = 0;
  for (; i + simd::lanes <= count; i += simd::lanes) {
    const simd::F16 v = simd::load(x + i);
    most = simd::max(most, simd::max(v, -v));
  }
  const simd::F16 rest = simd::load_part(x + i, count - i);
  return simd::maximum(simd::max(most, simd::max(rest, -rest)));
}

}  // namespace

RUNG_MULTIVERSION
void quantise(const ScaleShape& shape, const Rounding& rounding, const float* x, float* y) {
  const Rounding r = rounding;
  for (int64_t row = 0; row < shape.size; row += shape.width)
    for (int64_t at = row; at < row + shape.width; at += shape.block) {
      const int64_t left = row + shape.width - at, count = left < shape.block ? left : shape.block;
      const float scale =
          shape.fixed > 0.0f ? shape.fixed : scale_for(largest_magnitude(count, x + at), r);
      const float inverse = 1.0f / scale;
      for (int64_t i = at; i < at + count; ++i)
        y[i] = round_to_grid(x[i] * scale, r, static_cast<uint64_t>(i)) * inverse;
    }
}

}  // namespace rung::cpu
