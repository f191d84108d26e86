// What the two passes of linear_loss.h share: tiles in shared memory, and logits in registers.
#pragma once
#include "ops/cuda/linear_loss.h"
#include "ops/cuda/wgmma.cuh"

namespace rung::cuda {

constexpr float base_2 = 1.44269504f;  // log2(e)

// A block's own rows, 64 a warpgroup, meet tiles of N rows of the other matrix, `stages` of which
// lie in shared memory; rows are padded with zeros to `width`, a multiple of 64.
template <int width_, int N_, int groups_, int stages_, int blocks_>
struct LossTiles {
  static constexpr int width = width_, N = N_, groups = groups_, stages = stages_, blocks = blocks_;
  static constexpr int threads = 128 * groups, own = 64 * groups;
  static constexpr int own_bytes = own * width * 2, tile_bytes = N * width * 2;
  static constexpr int side_bytes = N * 12;  // per tile row: lse and target, for the weight's pass
  static constexpr int bytes = 1024 + own_bytes + stages * (tile_bytes + side_bytes);
};

// The tiles of both passes by padded width, the fastest of those that docs/performance.md names.
template <int width>
struct TilesOf;
template <>
struct TilesOf<64> : LossTiles<64, 64, 2, 4, 2> {};
template <>
struct TilesOf<128> : LossTiles<128, 64, 3, 4, 1> {};

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

// Rows [first, first + n) of a matrix [count, width] into panels; what does not exist is zero.
template <class C, int n>
__device__ void load_panels(uint32_t to, const bf16* from, int first, int count, int width) {
  constexpr int pieces = C::width / 8, all = n * pieces;
#pragma unroll
  for (int j = 0; j < (all + C::threads - 1) / C::threads; ++j) {
    const int i = static_cast<int>(threadIdx.x) + j * C::threads, row = i / pieces;
    if (all % C::threads != 0 && i >= all) break;
    const int piece = i % pieces;
    const bool real = first + row < count && 8 * piece < width;
    const bf16* const source = from + static_cast<int64_t>(first + row) * width + 8 * piece;
    copy_async<16>(to + piece_at(n, row, piece), real ? source : from, real);
  }
}

// s = own tile^T for a warpgroup's 64 rows, started.
template <class C>
__device__ void start_logits(float (&s)[C::N / 8][4], uint64_t own, uint64_t tile) {
  wgmma_fence();
#pragma unroll
  for (int k = 0; k < C::width / 16; ++k) {
    const uint64_t a = moved(own, k / 4 * C::own * panel_row + k % 4 * 32);
    const uint64_t b = moved(tile, k / 4 * C::N * panel_row + k % 4 * 32);
    if (k == 0)
      multiply(s, a, b);
    else
      multiply_add(s, a, b);
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
