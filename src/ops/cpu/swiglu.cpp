#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace rung::cpu {

using namespace simd;

namespace {

RUNG_INLINE F16 sigmoid(F16 x) {
  return 1.0f / (1.0f + exp(-x));
}

RUNG_INLINE F16 forward_block(F16 gate, F16 up, float slope, float scale) {
  return gate * sigmoid(gate * slope) * up * scale;
}

RUNG_INLINE void backward_block(F16 gate, F16 up, F16 dout, float slope, float scale, F16& dgate,
                                F16& dup) {
  const F16 s = sigmoid(gate * slope);
  const F16 d = dout * scale;
  dup = d * gate * s;
  dgate = d * up * (s + gate * slope * s * (1.0f - s));
}

}  // namespace

RUNG_MULTIVERSION
void swiglu_forward(int64_t rows, int64_t width, const float* input, float slope, float scale,
                    float* out) {
  for (int64_t row = 0; row < rows; ++row, input += 2 * width, out += width) {
    int64_t j = 0;
    for (; j + lanes <= width; j += lanes)
      store(out + j, forward_block(load(input + j), load(input + width + j), slope, scale));
    if (j < width)
      store_part(out + j,
                 forward_block(load_part(input + j, width - j),
                               load_part(input + width + j, width - j), slope, scale),
                 width - j);
  }
}

RUNG_MULTIVERSION
void swiglu_backward(int64_t rows, int64_t width, const float* input, const float* dout,
                     float slope, float scale, float* dinput) {
  for (int64_t row = 0; row < rows; ++row, input += 2 * width, dinput += 2 * width, dout += width) {
    int64_t j = 0;
    F16 dgate, dup;
    for (; j + lanes <= width; j += lanes) {
      backward_block(load(input + j), load(input + width + j), load(dout + j), slope, scale, dgate,
                     dup);
      store(dinput + j, dgate);
      store(dinput + width + j, dup);
    }
    if (const int64_t rest = width - j; rest > 0) {
      backward_block(load_part(input + j, rest), load_part(input + width + j, rest),
                     load_part(dout + j, rest), slope, scale, dgate, dup);
      store_part(dinput + j, dgate, rest);
      store_part(dinput + width + j, dup, rest);
    }
  }
}

}  // namespace rung::cpu
