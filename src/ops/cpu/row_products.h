// Products of R rows of attention with all of its keys or values, in cache: R rows share every
// load, and the inner loops run along time. Rows of scores are `time` apart, a multiple of 16.
#pragma once
#include <cstdint>

#include "ops/cpu/simd.h"

namespace rung::simd {

constexpr int64_t round_up(int64_t n) {
  return (n + lanes - 1) / lanes * lanes;
}

// result[r][j] = sum_d a[r][d] b_t[d][j] for j < columns (a multiple of 16).
template <int64_t R>
RUNG_INLINE void products(const float* a, int64_t dim, const float* b_t, int64_t time,
                          int64_t columns, float* result) {
  int64_t j = 0;
  for (; j + 2 * lanes <= columns; j += 2 * lanes) {
    F16 total[R][2] = {};
    for (int64_t d = 0; d < dim; ++d) {
      const F16 b0 = load(b_t + d * time + j), b1 = load(b_t + d * time + j + lanes);
      for (int64_t r = 0; r < R; ++r) {
        const float scalar = a[r * dim + d];
        total[r][0] += b0 * scalar;
        total[r][1] += b1 * scalar;
      }
    }
    for (int64_t r = 0; r < R; ++r) {
      store(result + r * time + j, total[r][0]);
      store(result + r * time + j + lanes, total[r][1]);
    }
  }
  for (; j < columns; j += lanes) {
    F16 total[R] = {};
    for (int64_t d = 0; d < dim; ++d) {
      const F16 b0 = load(b_t + d * time + j);
      for (int64_t r = 0; r < R; ++r) total[r] += b0 * a[r * dim + d];
    }
    for (int64_t r = 0; r < R; ++r) store(result + r * time + j, total[r]);
  }
}

// out[r][d] = factor[r] * sum_{j < count} weights[r][j] rows[j][d].
template <int64_t R>
RUNG_INLINE void mixtures(const float* weights, int64_t time, int64_t count, const float* rows,
                          int64_t wide, const float* factor, float* out, int64_t out_stride,
                          int64_t dim) {
  for (int64_t d = 0; d < dim; d += lanes) {
    F16 total[R] = {}, more[R] = {};
    int64_t j = 0;
    for (; j + 2 <= count; j += 2) {
      const F16 v0 = load(rows + j * wide + d), v1 = load(rows + (j + 1) * wide + d);
      for (int64_t r = 0; r < R; ++r) {
        total[r] += v0 * weights[r * time + j];
        more[r] += v1 * weights[r * time + j + 1];
      }
    }
    if (j < count) {
      const F16 v0 = load(rows + j * wide + d);
      for (int64_t r = 0; r < R; ++r) total[r] += v0 * weights[r * time + j];
    }
    for (int64_t r = 0; r < R; ++r) {
      const F16 value = (total[r] + more[r]) * factor[r];
      if (dim - d >= lanes)
        store(out + r * out_stride + d, value);
      else
        store_part(out + r * out_stride + d, value, dim - d);
    }
  }
}

// accumulated_t[d][j] += sum_r a[r][d] weights[r][j].
template <int64_t R>
RUNG_INLINE void outer_products(const float* a, int64_t dim, const float* weights, int64_t time,
                                int64_t columns, float* accumulated_t) {
  for (int64_t d = 0; d < dim; ++d) {
    float* row = accumulated_t + d * time;
    for (int64_t j = 0; j < columns; j += lanes) {
      F16 total = load(row + j);
      for (int64_t r = 0; r < R; ++r) total += load(weights + r * time + j) * a[r * dim + d];
      store(row + j, total);
    }
  }
}

}  // namespace rung::simd
