// Gradients and activations on their way into FP8 codes (fp8.cu, fp8_rope.cu), each as they lie and
// transposed.
#pragma once
#include "ops/cuda/kernels.h"

namespace rung::cuda {

// Codes of an activation's output (y: E4M3) from its input h, and of its input's gradient (dh:
// E5M2) from its output's; `transposed` may be null. `shape` is the output's; h and dh have twice
// its columns where the curve is gated, and all lie without gaps.
void cast_fp8_activation(Type type, Curve curve, const Fp8Shape& shape, const void* h, float slope,
                         float factor, void* y, void* transposed, Stream stream);
void cast_fp8_activation_gradient(Type type, Curve curve, const Fp8Shape& shape, const void* h,
                                  const void* dout, float slope, float factor, void* dh,
                                  void* transposed, Stream stream);

// What rope_backward gives (keys not offset), in E5M2. `codes`: of a member's packed gradient, its
// rows sequences of rope.time positions.
void cast_fp8_rope_gradient(Type type, const Fp8Shape& codes, const RopeShape& rope, const void* dq,
                            const void* dk, const void* dv, const float* cosine, const float* sine,
                            float qk, float value, void* dqkv, void* transposed, Stream stream);

// Codes (E4M3) of norm(h), RMSNorm without gain, in bf16: rows of a multiple of 16 columns and
// members of a multiple of 16 rows, none with gaps; rstd [members, rows] may be null, and so may
// `transposed`.
void cast_fp8_norm(const NormShape& shape, float scale, const void* h, float* rstd, void* codes,
                   void* transposed, Stream stream);
// norm_backward of it, with `branch` times the sum's gradient in codes (E5M2) instead of in
// gradient.df.
void cast_fp8_norm_gradient(const NormShape& shape, float scale, const void* h, const float* rstd,
                            const NormGradient& gradient, void* codes, void* transposed,
                            Stream stream);

}  // namespace rung::cuda
