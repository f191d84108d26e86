#include <cmath>

#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace rung::cpu {

using namespace simd;

namespace {

// Applies `body(offset, count)` to blocks of sixteen; the last may be shorter.
#define RUNG_FOR_BLOCKS(width, j, count) \
  for (int64_t j = 0, count = lanes;     \
       j < (width) && ((count = (width)-j < lanes ? (width)-j : lanes), true); j += lanes)

RUNG_INLINE F16 load_block(const float* p, int64_t count) {
  return count == lanes ? load(p) : load_part(p, count);
}
RUNG_INLINE void store_block(float* p, F16 v, int64_t count) {
  if (count == lanes)
    store(p, v);
  else
    store_part(p, v, count);
}
// Zeroes the lanes from `count` on, so that centred tails do not enter sums.
RUNG_INLINE F16 keep(F16 v, int64_t count) {
  for (int64_t i = count; i < lanes; ++i) v[i] = 0.0f;
  return v;
}

}  // namespace

RUNG_MULTIVERSION
void add_norm_forward(const NormShape& shape, const float* x, const float* f, float skip,
                      float branch, const float* gain, float* h, float* y, float* mean,
                      float* rstd) {
  const int64_t width = shape.width;
  const float inverse = 1.0f / static_cast<float>(width);
  for (int64_t row = 0; row < shape.rows; ++row, x += width, y += width) {
    const float* input = x;
    F16 total{}, squares{};
    RUNG_FOR_BLOCKS(width, j, count) {
      F16 v = load_block(x + j, count);
      if (f) {
        v = v * skip + load_block(f + j, count) * branch;
        store_block(h + j, v, count);
      }
      total += v;
      squares += v * v;
    }
    if (f) {
      input = h;
      f += width;
      h += width;
    }
    const float centre = shape.center ? sum(total) * inverse : 0.0f;
    float variance = sum(squares) * inverse;
    if (shape.center) {
      F16 deviations{};
      RUNG_FOR_BLOCKS(width, j, count) {
        const F16 d = keep(load_block(input + j, count) - centre, count);
        deviations += d * d;
      }
      variance = sum(deviations) * inverse;
    }
    const float scale = 1.0f / std::sqrt(variance + shape.epsilon);
    mean[row] = centre;
    rstd[row] = scale;
    RUNG_FOR_BLOCKS(width, j, count) {
      F16 v = (load_block(input + j, count) - centre) * scale;
      if (gain) v *= load_block(gain + j, count);
      store_block(y + j, v, count);
    }
  }
}

RUNG_MULTIVERSION
void norm_backward(const NormShape& shape, const float* h, const float* mean, const float* rstd,
                   const float* gain, const float* dy, const float* dh, float input_gradient,
                   float* dx, float* dgain) {
  const int64_t width = shape.width;
  const float inverse = 1.0f / static_cast<float>(width);
  for (int64_t row = 0; row < shape.rows; ++row, h += width, dy += width, dx += width) {
    const float centre = mean[row], scale = rstd[row];
    F16 dot{}, total{};
    RUNG_FOR_BLOCKS(width, j, count) {
      const F16 normed = (load_block(h + j, count) - centre) * scale;
      F16 g = load_block(dy + j, count);
      if (dgain) store_block(dgain + j, load_block(dgain + j, count) + g * normed, count);
      if (gain) g *= load_block(gain + j, count);
      dot += keep(g * normed, count);
      total += g;
    }
    const float projection = sum(dot) * inverse;
    const float average = shape.center ? sum(total) * inverse : 0.0f;
    const float factor = scale * input_gradient;
    RUNG_FOR_BLOCKS(width, j, count) {
      const F16 normed = (load_block(h + j, count) - centre) * scale;
      F16 g = load_block(dy + j, count);
      if (gain) g *= load_block(gain + j, count);
      F16 d = (g - normed * projection - average) * factor;
      if (dh) d += load_block(dh + j, count);
      store_block(dx + j, d, count);
    }
    if (dh) dh += width;
  }
}

}  // namespace rung::cpu
