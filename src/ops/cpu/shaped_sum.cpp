// Shaped attention's sum (ops/shaped_sum.h) over one sequence, channels along the lanes.
#include <algorithm>

#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace rung::cpu {

namespace {

RUNG_INLINE simd::F16 load_units(const float* p, int64_t count) {
  return count < simd::lanes ? simd::load_part(p, count) : simd::load(p);
}

}  // namespace

RUNG_MULTIVERSION void shaped_sum_forward(const ShapedSumShape& s, const float* v,
                                          const float* mixed, const float* gains, float* y,
                                          float* row) {
  const int64_t width = s.heads * s.size;
  std::fill_n(row, width, 0.0f);
  for (int64_t t = 0; t < s.time; ++t) {
    const float share = 1.0f / static_cast<float>(t + 1);
    for (int64_t h = 0; h < s.heads; ++h) {
      const float alpha = gains[h], beta = gains[s.heads + h];
      const float gamma = gains[2 * s.heads + h] * share;
      const int64_t first = h * s.size, at = t * width + first;
      for (int64_t i = 0; i < s.size; ++i) {
        row[first + i] += v[at + i];
        y[at + i] = alpha * v[at + i] + beta * mixed[at + i] - gamma * row[first + i];
      }
    }
  }
}

// With R_s = sum_{t >= s} dy_t / (t + 1), which reaches v_s through the means behind it:
// dv_s = alpha dy_s - gamma R_s, and gamma's gradient is -sum_s v_s R_s.
RUNG_MULTIVERSION void shaped_sum_backward(const ShapedSumShape& s, const float* v,
                                           const float* mixed, const float* gains, const float* dy,
                                           float* dv, float* dmixed, float* dgains, float* row) {
  const int64_t width = s.heads * s.size;
  std::fill_n(row, width, 0.0f);
  for (int64_t t = s.time - 1; t >= 0; --t) {
    const float share = 1.0f / static_cast<float>(t + 1);
    for (int64_t h = 0; h < s.heads; ++h) {
      const float alpha = gains[h], beta = gains[s.heads + h], gamma = gains[2 * s.heads + h];
      const int64_t first = h * s.size, at = t * width + first;
      for (int64_t i = 0; i < s.size; ++i) {
        row[first + i] += share * dy[at + i];
        dv[at + i] = alpha * dy[at + i] - gamma * row[first + i];
        dmixed[at + i] = beta * dy[at + i];
      }
      simd::F16 own{}, others{}, mean{};
      for (int64_t i = 0; i < s.size; i += simd::lanes) {
        const int64_t left = s.size - i;
        const simd::F16 d = load_units(dy + at + i, left), x = load_units(v + at + i, left);
        own += d * x;
        others += d * load_units(mixed + at + i, left);
        mean += x * load_units(row + first + i, left);
      }
      dgains[h] += simd::sum(own);
      dgains[s.heads + h] += simd::sum(others);
      dgains[2 * s.heads + h] -= simd::sum(mean);
    }
  }
}

}  // namespace rung::cpu
