// Causal attention of one short head a block, everything in shared memory (small_attention.h):
// what the forward and the backward pass share.
#pragma once
#include "ops/cuda/mma.cuh"
#include "ops/cuda/rope.cuh"
#include "ops/cuda/small_attention.h"

namespace rung::cuda {

constexpr float log2_e = 1.44269504f;

struct Small {
  Packed rope;
  unsigned head_dim, tiles;  // tiles of 16 positions
  float logit;               // multiplies q.k, times log2(e)
  Angles angles;
  __device__ unsigned rows() const { return 16 * tiles; }
  __device__ unsigned packed_row() const { return 3 * rope.heads * head_dim; }
};

// Heads are padded to D with zeros; eight elements between rows keep ldmatrix free of bank
// conflicts.
template <int D>
constexpr int stride_of = D + 8;

// One head's rows, rotated where `turned`, times `factor`; zeros beyond the sequence and the head.
template <int D>
__device__ void load_head(const Small& s, bf16* to, const bf16* from, bool turned, bool offset,
                          float factor) {
  const unsigned half = s.rope.half, slots = D / 8, row_stride = s.packed_row();
  for (unsigned i = threadIdx.x; i < s.rows() * slots; i += blockDim.x) {
    const unsigned row = i / slots, at = i % slots * 4;
    bf16* const line = to + row * stride_of<D>;
    float a[4] = {}, b[4] = {};
    if (row < s.rope.time && at < half) {
      const bf16* const source = from + static_cast<int64_t>(row) * row_stride;
      load4(source + at, a);
      load4(source + half + at, b);
      if (offset && row > 0 && at + 4 > s.rope.fast)
        take_before(s.rope, source - row_stride, at, a, b);
      if (turned) turn(a, b, s.angles, row, half, at);
#pragma unroll
      for (int k = 0; k < 4; ++k) a[k] *= factor, b[k] *= factor;
    }
    // Slots beyond the head fill the padding behind it.
    const unsigned first = at < half ? at : 2 * at, second = at < half ? half + at : 2 * at + 4;
    store4(line + first, a);
    store4(line + second, b);
  }
}

// Allows `bytes` of shared memory a block, once a device.
template <class Kernel>
void allow_shared(Kernel kernel, int bytes) {
  if (bytes > 48 * 1024)
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}

// Early tiles see few keys and late ones many (for keys: queries), so a warp that takes two takes
// one from either end: its i-th of `tiles` is the i-th of 0, 1, .., pairs - 1, tiles - 1, tiles -
// 2, ..
__device__ inline int tile_of(int i, int tiles) {
  const int pairs = (tiles + 1) / 2;
  return i < pairs ? i : tiles - 1 - (i - pairs);
}
// Warps of a block, of which each takes `each` tiles; a few tiles are too few to share.
inline unsigned warps_of(unsigned tiles, unsigned each) {
  return tiles <= 8 || each == 1 ? tiles : (tiles + 1) / 2;
}

Small small_of(const SmallAttention& shape, float direction);

// Calls f with the padded head dimension as a constant.
template <class F>
void with_head_dim(int64_t head_dim, F&& f) {
  if (head_dim <= 16)
    f(std::integral_constant<int, 16>());
  else if (head_dim <= 32)
    f(std::integral_constant<int, 32>());
  else if (head_dim <= 48)
    f(std::integral_constant<int, 48>());
  else
    f(std::integral_constant<int, 64>());
}

}  // namespace rung::cuda
