// The elementwise gated recurrence, channels along the lanes.
#include <algorithm>

#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace rung::cpu {

RUNG_MULTIVERSION void gated_scan_forward(int64_t time, int64_t channels, const float* f,
                                          const float* c, const float* first, float* h) {
  for (int64_t t = 0; t < time; ++t, f += channels, c += channels, h += channels) {
    const float* before = t ? h - channels : first;
    if (before)
      for (int64_t i = 0; i < channels; ++i) h[i] = f[i] * before[i] + (1.0f - f[i]) * c[i];
    else
      for (int64_t i = 0; i < channels; ++i) h[i] = (1.0f - f[i]) * c[i];
  }
}

// The gradient of h_t is dh_t + f_{t+1} (that of h_{t+1}); `carry` holds the second term.
RUNG_MULTIVERSION void gated_scan_backward(int64_t time, int64_t channels, const float* f,
                                           const float* c, const float* first, const float* h,
                                           const float* dh, float* df, float* dc, float* carry) {
  std::fill(carry, carry + channels, 0.0f);
  for (int64_t t = time - 1; t >= 0; --t) {
    const int64_t row = t * channels;
    const float* before = t ? h + row - channels : first;
    for (int64_t i = 0; i < channels; ++i) {
      const float g = dh[row + i] + carry[i], last = before ? before[i] : 0.0f;
      df[row + i] = (last - c[row + i]) * g;
      dc[row + i] = (1.0f - f[row + i]) * g;
      carry[i] = f[row + i] * g;
    }
  }
}

}  // namespace rung::cpu
