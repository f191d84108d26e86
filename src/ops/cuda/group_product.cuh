// Products of one tile, by the threads of one block: by tensor cores (mma.sync behind three stages
// of cp.async), or by plain multiply-adds where rows are fp32 or of lengths that are no multiples
// of 8. Sums have a fixed order.
#pragma once
#include "ops/cuda/async.cuh"
#include "ops/cuda/mma.cuh"

namespace rung::cuda {
namespace {

// C [rows, columns] = sum over k < depth of A(row, k) B(column, k). An operand lies with k along
// its lines (line = row or column) or across them (line = k).
template <class T>
struct Product {
  const T *a, *b;
  int64_t a_line, b_line;  // elements between lines
  int64_t rows, columns, depth;
};

constexpr int stages = 3, deep = 32;  // k of one stage

// An operand's tile of `size` rows (or columns) from `first` on, in shared memory.
template <int size, bool along>
struct Operand {
  static constexpr int lines = along ? size : deep, length = along ? deep : size;
  static constexpr int stride = length + 8, elements = lines * stride;

  // Lines from `line0` of `line_count`, entries from `at0` of `at_count`, zeros beyond.
  __device__ static void load(bf16* to, const bf16* from, int64_t line, int64_t line0,
                              int64_t line_count, int64_t at0, int64_t at_count) {
    for (int i = threadIdx.x; i < lines * length / 8; i += blockDim.x) {
      const int row = i / (length / 8), column = i % (length / 8) * 8;
      const bool inside = line0 + row < line_count && at0 + column < at_count;
      const bf16* source = inside ? from + (line0 + row) * line + at0 + column : from;
      copy16(to + row * stride + column, source, inside);
    }
  }

  __device__ static void load_stage(bf16* to, const bf16* from, int64_t line, int64_t first,
                                    int64_t count, int64_t k, int64_t depth) {
    if constexpr (along)
      load(to, from, line, first, count, k, depth);
    else
      load(to, from, line, k, depth, first, count);
  }
};

template <int BM, int BN, bool a_along, bool b_along>
constexpr int shared_bytes = stages*(Operand<BM, a_along>::elements +
                                     Operand<BN, b_along>::elements) *
                             2;

// store(row, column, first, second): two neighbours along the columns, where they lie inside.
template <int MT, int NT, class Store>
__device__ inline void store_sums(const float (&sum)[MT][2 * NT][4], const Product<bf16>& p,
                                  int64_t row0, int64_t column0, int lane, Store&& store) {
#pragma unroll
  for (int i = 0; i < MT; ++i)
#pragma unroll
    for (int j = 0; j < 2 * NT; ++j)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int64_t row = row0 + 16 * i + lane / 4 + 8 * r,
                      column = column0 + 8 * j + lane % 4 * 2;
        if (row < p.rows && column < p.columns)
          store(row, column, sum[i][j][2 * r], sum[i][j][2 * r + 1]);
      }
}

// Warps lie 2 x (warps / 2); each holds [BM / 2, BN / (warps / 2)].
template <int BM, int BN, int warps, bool a_along, bool b_along, class Store>
__device__ void multiply(const Product<bf16>& p, int64_t row0, int64_t column0, Store&& store) {
  using A = Operand<BM, a_along>;
  using B = Operand<BN, b_along>;
  constexpr int WM = BM / 2, WN = BN / (warps / 2), MT = WM / 16, NT = WN / 16;
  extern __shared__ __align__(16) bf16 shared[];
  bf16 *const as = shared, *const bs = shared + stages * A::elements;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int m0 = warp % 2 * WM, n0 = warp / 2 * WN;
  const int steps = static_cast<int>((p.depth + deep - 1) / deep);
  const auto load = [&](int step) {
    if (step < steps) {
      const int64_t k = static_cast<int64_t>(step) * deep;
      A::load_stage(as + step % stages * A::elements, p.a, p.a_line, row0, p.rows, k, p.depth);
      B::load_stage(bs + step % stages * B::elements, p.b, p.b_line, column0, p.columns, k,
                    p.depth);
    }
    commit_copies();
  };
  for (int step = 0; step + 1 < stages; ++step) load(step);
  float sum[MT][2 * NT][4] = {};
  for (int step = 0; step < steps; ++step) {
    wait_copies<stages - 2>();
    __syncthreads();
    load(step + stages - 1);
    const Tile<A::stride> a{as + step % stages * A::elements, lane};
    const Tile<B::stride> b{bs + step % stages * B::elements, lane};
#pragma unroll
    for (int k = 0; k < deep / 16; ++k) {
      Quad x[MT], w[NT];
#pragma unroll
      for (int i = 0; i < MT; ++i) {
        if constexpr (a_along)
          a.as_a(x[i], m0 / 16 + i, k);
        else
          a.as_a_of_columns(x[i], k, m0 / 16 + i);
      }
#pragma unroll
      for (int j = 0; j < NT; ++j) {
        if constexpr (b_along)
          b.as_b_of_rows(w[j], n0 / 16 + j, k);
        else
          b.as_b_of_columns(w[j], k, n0 / 16 + j);
      }
#pragma unroll
      for (int i = 0; i < MT; ++i)
#pragma unroll
        for (int j = 0; j < NT; ++j) {
          multiply_add(sum[i][2 * j], x[i], w[j][0], w[j][1]);
          multiply_add(sum[i][2 * j + 1], x[i], w[j][2], w[j][3]);
        }
    }
  }
  store_sums<MT, NT>(sum, p, row0 + m0, column0 + n0, lane, store);
}

constexpr int plain_tile = 64, plain_deep = 16, plain_threads = 256;

template <bool a_along, bool b_along, class T, class Store>
__device__ void multiply_plain(const Product<T>& p, int64_t row0, int64_t column0, Store&& store) {
  __shared__ float as[plain_deep][plain_tile + 4], bs[plain_deep][plain_tile + 4];
  const int x = threadIdx.x % 16, y = threadIdx.x / 16;
  const auto load = [&](float(&to)[plain_deep][plain_tile + 4], const T* from, int64_t line,
                        bool along, int64_t first, int64_t count, int64_t k0) {
    for (int i = threadIdx.x; i < plain_tile * plain_deep; i += plain_threads) {
      const int k = along ? i % plain_deep : i / plain_tile,
                at = along ? i / plain_deep : i % plain_tile;
      const bool inside = first + at < count && k0 + k < p.depth;
      const int64_t place = along ? (first + at) * line + k0 + k : (k0 + k) * line + first + at;
      to[k][at] = inside ? to_float(from[place]) : 0.0f;
    }
  };
  float sum[4][4] = {};
  for (int64_t k0 = 0; k0 < p.depth; k0 += plain_deep) {
    __syncthreads();
    load(as, p.a, p.a_line, a_along, row0, p.rows, k0);
    load(bs, p.b, p.b_line, b_along, column0, p.columns, k0);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < plain_deep; ++k) {
      float a[4], b[4];
      load4(&as[k][4 * y], a);
      load4(&bs[k][4 * x], b);
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) sum[i][j] = fmaf(a[i], b[j], sum[i][j]);
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int64_t row = row0 + 4 * y + i, column = column0 + 4 * x + j;
      if (row < p.rows && column < p.columns) store(row, column, sum[i][j]);
    }
}

}  // namespace
}  // namespace rung::cuda
