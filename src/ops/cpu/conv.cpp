// The causal depthwise convolution with its SiLU, channels along the lanes. The backward pass
// computes the values before the SiLU anew.
#include <algorithm>

#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace rung::cpu {

using namespace simd;

namespace {

RUNG_INLINE F16 load_some(const float* p, int64_t count) {
  return count == lanes ? load(p) : load_part(p, count);
}
RUNG_INLINE void store_some(float* p, F16 v, int64_t count) {
  if (count == lanes)
    store(p, v);
  else
    store_part(p, v, count);
}
RUNG_INLINE F16 sigmoid(F16 x) {
  return splat(1.0f) / (exp(-x) + 1.0f);
}

// Input row t, which lies in `past` before 0.
RUNG_INLINE const float* row_at(const ConvShape& s, const float* x, const float* past, int64_t t) {
  return t < 0 ? past + (s.size - 1 + t) * s.channels : x + t * s.channels;
}

RUNG_INLINE F16 filtered(const ConvShape& s, const ConvArrays& in, int64_t t, int64_t c,
                         int64_t count) {
  F16 total = load_some(in.bias + c, count);
  for (int64_t j = 0; j < s.size; ++j)
    total += load_some(row_at(s, in.x, in.past, t - s.size + 1 + j) + c, count) *
             load_some(in.filter + j * s.channels + c, count);
  return total;
}

RUNG_INLINE void add_some(float* p, F16 v, int64_t count) {
  store_some(p, load_some(p, count) + v, count);
}

}  // namespace

RUNG_MULTIVERSION
void conv_silu_forward(const ConvShape& s, const ConvArrays& in, float* y) {
  for (int64_t t = 0; t < s.time; ++t)
    for (int64_t c = 0; c < s.channels; c += lanes) {
      const int64_t count = std::min(lanes, s.channels - c);
      const F16 z = filtered(s, in, t, c, count);
      store_some(y + t * s.channels + c, z * sigmoid(z), count);
    }
}

RUNG_MULTIVERSION
void conv_silu_backward(const ConvShape& s, const ConvArrays& in, const float* dy, float* dx,
                        float* dfilter, float* dbias) {
  std::fill_n(dx, s.time * s.channels, 0.0f);
  for (int64_t t = 0; t < s.time; ++t)
    for (int64_t c = 0; c < s.channels; c += lanes) {
      const int64_t count = std::min(lanes, s.channels - c);
      const F16 z = filtered(s, in, t, c, count), gate = sigmoid(z);
      const F16 d = load_some(dy + t * s.channels + c, count) * gate * (z * (1.0f - gate) + 1.0f);
      add_some(dbias + c, d, count);
      for (int64_t j = 0; j < s.size; ++j) {
        const int64_t from = t - s.size + 1 + j;
        const float* row = row_at(s, in.x, in.past, from);
        add_some(dfilter + j * s.channels + c, d * load_some(row + c, count), count);
        if (from >= 0)
          add_some(dx + from * s.channels + c, d * load_some(in.filter + j * s.channels + c, count),
                   count);
      }
    }
}

}  // namespace rung::cpu
