// Causal attention of one short head a block, everything in shared memory (small_attention.h):
// what the forward and the backward pass share.
#pragma once
#include "ops/cuda/async.cuh"
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

// A head's rows, `row_stride` elements apart, by copies that all run at once; zeros beyond the
// sequence and the head.
template <int D>
__device__ void copy_head(const Small& s, bf16* to, const bf16* from, unsigned row_stride) {
  constexpr unsigned pieces = D / 8;
#pragma unroll 4
  for (unsigned i = threadIdx.x; i < s.rows() * pieces; i += blockDim.x) {
    const unsigned row = i / pieces, at = i % pieces * 8;
    const bool real = row < s.rope.time && at < s.head_dim;
    copy16(to + row * stride_of<D> + at,
           real ? from + static_cast<int64_t>(row) * row_stride + at : from, real);
  }
}

// Queries, and keys unless they are null, turned where they lie; values times `factor`.
template <int D>
__device__ void turn_heads(const Small& s, bf16* q, bf16* k, bf16* v, float factor) {
  constexpr unsigned slots = D / 8;
  const unsigned half = s.rope.half;
#pragma unroll 4
  for (unsigned i = threadIdx.x; i < s.rows() * slots; i += blockDim.x) {
    const unsigned row = i / slots, at = i % slots * 4;
    if (row >= s.rope.time || at >= half) continue;
    for (bf16* const head : {q, k}) {
      if (!head) continue;
      bf16* const line = head + row * stride_of<D> + at;
      float a[4], b[4];
      load4(line, a);
      load4(line + half, b);
      turn(a, b, s.angles, row, half, at);
      store4(line, a);
      store4(line + half, b);
    }
  }
  if (factor == 1.0f) return;
  for (unsigned i = threadIdx.x; i < s.rows() * slots; i += blockDim.x) {
    bf16* const at = v + i / slots * stride_of<D> + i % slots * 8;
    float x[8];
    load8(at, x);
#pragma unroll
    for (int j = 0; j < 8; ++j) x[j] *= factor;
    store8(at, x);
  }
}

// Keys of which slow pairs come from the position before, turned; zeros beyond the sequence and the
// head.
template <int D>
__device__ void load_offset_keys(const Small& s, bf16* to, const bf16* from) {
  const unsigned half = s.rope.half, slots = D / 8, row_stride = s.packed_row();
  for (unsigned i = threadIdx.x; i < s.rows() * slots; i += blockDim.x) {
    const unsigned row = i / slots, at = i % slots * 4;
    bf16* const line = to + row * stride_of<D>;
    float a[4] = {}, b[4] = {};
    if (row < s.rope.time && at < half) {
      const bf16* const source = from + static_cast<int64_t>(row) * row_stride;
      load4(source + at, a);
      load4(source + half + at, b);
      if (row > 0 && at + 4 > s.rope.fast) take_before(s.rope, source - row_stride, at, a, b);
      turn(a, b, s.angles, row, half, at);
    }
    // Slots beyond the head fill the padding behind it.
    const unsigned first = at < half ? at : 2 * at, second = at < half ? half + at : 2 * at + 4;
    store4(line + first, a);
    store4(line + second, b);
  }
}

// A head's rotated queries and keys and its values times `factor` into shared memory, with what the
// caller has begun to copy; the block has synchronised afterwards.
template <int D>
__device__ void load_heads(const Small& s, bf16* q, bf16* k, bf16* v, const bf16* from,
                           float factor) {
  const unsigned width = s.rope.heads * s.head_dim;
  const bool offset = s.rope.fast < s.rope.half;
  copy_head<D>(s, q, from, s.packed_row());
  if (!offset) copy_head<D>(s, k, from + width, s.packed_row());
  copy_head<D>(s, v, from + 2 * width, s.packed_row());
  commit_copies();
  if (offset) load_offset_keys<D>(s, k, from + width);
  wait_copies<0>();
  __syncthreads();
  turn_heads<D>(s, q, offset ? nullptr : k, v, factor);
  __syncthreads();
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
