// Rows in registers, for norms: a group of G lanes holds a row as V vectors of 8 a lane, few enough
// that many rows are on their way from memory at once.
#pragma once
#include "ops/cuda/common.cuh"

namespace rung::cuda {

constexpr int norm_threads = 256;

struct NormRows {
  int64_t rows, per_block;
  int vectors;  // of 8 in a row
  float width, epsilon;
  bool center;
  int64_t gain_stride;
};

// Sums over the group of G lanes that the caller belongs to. `slots` [n * warps of the block] are
// another call's only after the block has met once more.
template <int G, int n>
__device__ inline void sum_rows(float (&value)[n], float* slots) {
#pragma unroll
  for (int i = 0; i < n; ++i) value[i] = group_sum<(G < 32 ? G : 32)>(value[i]);
  if constexpr (G > 32) {
    constexpr int all = norm_threads / 32, warps = G / 32;
    const int warp = threadIdx.x / 32, first = warp / warps * warps;
    if (threadIdx.x % 32 == 0)
#pragma unroll
      for (int i = 0; i < n; ++i) slots[i * all + warp] = value[i];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < n; ++i) {
      value[i] = 0.0f;
#pragma unroll
      for (int w = 0; w < warps; ++w) value[i] += slots[i * all + first + w];
    }
  }
}

// Lanes a row for narrow rows, vectors a lane for wide ones.
template <class F>
void with_norm_group(int64_t vectors, F&& f) {
  const auto call = [&](auto g, auto v) { f(g, v); };
  using std::integral_constant;
  if (vectors <= 4) return call(integral_constant<int, 4>(), integral_constant<int, 1>());
  if (vectors <= 8) return call(integral_constant<int, 8>(), integral_constant<int, 1>());
  if (vectors <= 16) return call(integral_constant<int, 16>(), integral_constant<int, 1>());
  if (vectors <= 32) return call(integral_constant<int, 32>(), integral_constant<int, 1>());
  if (vectors <= 64) return call(integral_constant<int, 32>(), integral_constant<int, 2>());
  if (vectors <= 96) return call(integral_constant<int, 32>(), integral_constant<int, 3>());
  if (vectors <= 128) return call(integral_constant<int, 64>(), integral_constant<int, 2>());
  if (vectors <= 256) return call(integral_constant<int, 128>(), integral_constant<int, 2>());
  return call(integral_constant<int, 256>(), integral_constant<int, 2>());
}

inline int64_t norm_groups(int64_t vectors) {
  int64_t groups = 0;
  with_norm_group(vectors, [&](auto g, auto) { groups = norm_threads / decltype(g)::value; });
  return groups;
}

inline NormRows norm_rows_of(const NormShape& s, int64_t per_block) {
  return {
      s.rows,   per_block,    static_cast<int>(s.width / 8), static_cast<float>(s.width), s.epsilon,
      s.center, s.gain_stride};
}

}  // namespace rung::cuda
