// What the two passes of linear_loss.h share: tiles in shared memory, and logits in registers.
#pragma once
#include "ops/cuda/hopper/linear_loss.h"
#include "ops/cuda/hopper/slice_ring.cuh"
#include "ops/cuda/hopper/wgmma.cuh"

namespace rung::cuda {

constexpr float base_2 = 1.44269504f;  // log2(e)

// A block's own rows, 64 a warpgroup, meet tiles of N rows of the other matrix, which a ring of
// `stages` in shared memory brings; columns are padded with zeros to `width`, a multiple of 64. A
// warpgroup keeps its rows in registers and need not keep in step with the others: while one makes
// exponentials, another multiplies.
template <int width_, int N_, int groups_, int stages_, int blocks_>
struct LossTiles {
  static constexpr int width = width_, N = N_, groups = groups_, stages = stages_, blocks = blocks_;
  static constexpr int threads = 128 * groups, own = 64 * groups, users = 4 * groups;
  static constexpr int slice_bytes = N * width * 2;
  static constexpr int side_bytes = N * 12;  // per tile row: lse and target, for the weight's pass
  static constexpr int ring_bytes = stages * slice_bytes;
  static constexpr int bytes = 1024 + ring_bytes + groups * stages * side_bytes + 16 * stages;
};

// The tiles of both passes by padded width, the fastest of those that docs/kernels/losses.md names.
template <int width>
struct TilesOf;
template <>
struct TilesOf<64> : LossTiles<64, 64, 2, 4, 2> {};
template <>
struct TilesOf<128> : LossTiles<128, 128, 2, 4, 1> {};

// Calls f with the padded width as a constant.
template <class F>
void with_padded_width(int64_t width, F&& f) {
  if (width <= 64)
    f(std::integral_constant<int, 64>());
  else
    f(std::integral_constant<int, 128>());
}

struct LossParts {
  const bf16 *x, *weight;
  int rows, vocabulary, width;
  int64_t weight_stride;
  const int64_t* targets;
  float scale;     // of z to base 2; with a cap: to the tanh's argument
  float cap;       // base 2
  int tiles_each;  // tiles of a split
  __device__ const bf16* x_of(int64_t member) const { return x + member * rows * width; }
  __device__ const bf16* weight_of(int64_t member) const { return weight + member * weight_stride; }
};

// What the pass over rows gives.
struct LossResult {
  float factor;
  float *loss, *lse;
  bf16* dx;
  float2* peak;  // [splits, members, rows]: the reference of the exponentials, their sum
  float* sums;   // [splits, members, rows, width]: of exponentials times weights
};
// loss, lse and dx from the splits' peaks and sums.
void join_linear_loss(const LinearLoss& shape, const LossParts& in, const LossResult& out,
                      Stream stream);

inline LossParts parts_of(const LinearLoss& s, const void* x, const void* weight,
                          const int64_t* targets) {
  const float scale = s.cap > 0.0f ? s.forward / s.cap : s.forward * base_2;
  return {static_cast<const bf16*>(x),
          static_cast<const bf16*>(weight),
          static_cast<int>(s.rows),
          static_cast<int>(s.vocabulary),
          static_cast<int>(s.width),
          s.weight_stride,
          targets,
          scale,
          s.cap * base_2,
          0};
}

// A matrix [members, count, width] as the copies of tiles want it.
template <class C>
CUtensorMap tile_map(const void* matrix, int64_t count, int64_t width, int64_t members,
                     int64_t member_stride) {
  return tensor_map({matrix, width, count, 1, members, width, count * width, member_stride, C::N});
}

// The ring in shared memory; behind its tiles the sides, then the barriers.
template <class C>
__device__ Ring<C> loss_ring(const unsigned char* shared) {
  const uint32_t tiles = (shared_address(shared) + 1023) / 1024 * 1024;
  return {tiles, tiles + C::ring_bytes + C::groups * C::stages * C::side_bytes};
}

// Tile i of the block's share of its member, the matrix's tile `tile`; by one thread.
template <class C>
__device__ void load_tile(const Ring<C>& ring, const CUtensorMap& map, int i, int tile) {
  ring.announce_slice(i);
#pragma unroll
  for (int panel = 0; panel < C::width / panel_columns; ++panel)
    copy_box(ring.slice(i) + panel * C::N * panel_row, map, ring.full(i), panel * panel_columns,
             tile * C::N, 0, static_cast<int>(blockIdx.z));
}

// Rows [first, first + 16) of a matrix [count, width] as a warp's A operands; what does not exist
// is zero.
template <class C>
__device__ void hold_rows(Quad (&own)[C::width / 16], const bf16* from, int first, int count,
                          int width) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int k = 0; k < C::width / 16; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = first + lane / 4 + i % 2 * 8, column = 16 * k + lane % 4 * 2 + i / 2 * 8;
      own[k][i] = row < count && column < width
                      ? *reinterpret_cast<const uint32_t*>(
                            from + static_cast<int64_t>(row) * width + column)
                      : 0;
    }
}

// s = own tile^T for a warpgroup's 64 rows, started.
template <class C>
__device__ void start_logits(float (&s)[C::N / 8][4], const Quad (&own)[C::width / 16],
                             uint64_t tile) {
  wgmma_fence();
#pragma unroll
  for (int k = 0; k < C::width / 16; ++k) {
    const uint64_t b = moved(tile, k / 4 * C::N * panel_row + k % 4 * 32);
    if (k == 0)
      multiply<0>(s, own[k], b);
    else
      multiply_add<0>(s, own[k], b);
  }
  wgmma_commit();
}

// sum += p tile, with p [64, N] as A operands, started.
template <class C>
__device__ void start_sum(float (&sum)[C::width / 8][4], const Quad (&p)[C::N / 16],
                          uint64_t tile) {
  wgmma_fence();
#pragma unroll
  for (int k = 0; k < C::N / 16; ++k) multiply_add(sum, p[k], moved(tile, k * 16 * panel_row));
  wgmma_commit();
}

// z in base 2 of a product: with a cap it takes the product's place, and its scale becomes one.
__device__ inline float capped_logit(float product, float scale, float cap) {
  // tanh(u) = 1 - 2 / (1 + e^2u), to fp32's rounding where it matters.
  const float e = exp2_fast(product * scale * (2.0f * base_2));
  return cap * (1.0f - __fdividef(2.0f, 1.0f + e));
}
// d z / d product over forward.
__device__ inline float cap_slope(float logit, float cap) {
  const float t = __fdividef(logit, cap);
  return fmaxf(0.0f, 1.0f - t * t);
}

__device__ inline float2 load2(const bf16* from) {
  const uint32_t pair = *reinterpret_cast<const uint32_t*>(from);
  return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
}

// s [64, 8 n] as A operands.
template <int n>
__device__ void pack(Quad (&to)[n / 2], const float (&s)[n][4]) {
#pragma unroll
  for (int k = 0; k < n / 2; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i)
      to[k][i] = pack2(s[2 * k + i / 2][i % 2 * 2], s[2 * k + i / 2][i % 2 * 2 + 1]);
}

}  // namespace rung::cuda
