// What warpgroups have summed for the same 64 rows, in shared memory: from there on a thread has a
// piece of eight columns, and 16 lanes a row.
#pragma once
#include "ops/cuda/hopper/wide_rows.cuh"

namespace rung::cuda {

// A warpgroup's sums, 32 rows each. Pieces are swapped about against bank conflicts.
constexpr int half_rows = 32, sum_row = wide_row * 4, half_sums = half_rows * sum_row;
constexpr int row_pieces = wide_row / 8;
struct SumPlaces {
  unsigned char *low, *high;
  __device__ unsigned char* at(int row, int piece) const {
    return (row < half_rows ? low : high) + row % half_rows * sum_row + (piece ^ row % 4) * 32;
  }
};

// A warp's 16 rows, from row `first` on.
__device__ inline void put_sums(const SumPlaces& to, const float (&sum)[16][4], int first,
                                int lane) {
#pragma unroll
  for (int r = 0; r < 2; ++r)
#pragma unroll
    for (int n = 0; n < 16; ++n)
      *reinterpret_cast<float2*>(to.at(first + lane / 4 + 8 * r, n) + lane % 4 * 8) =
          make_float2(sum[n][2 * r], sum[n][2 * r + 1]);
}

// A piece's sum over warpgroups, in order.
template <int groups>
__device__ inline void add_sums(float (&sum)[8], const SumPlaces (&from)[groups], int row,
                                int piece) {
  load8(reinterpret_cast<const float*>(from[0].at(row, piece)), sum);
#pragma unroll
  for (int group = 1; group < groups; ++group) {
    float more[8];
    load8(reinterpret_cast<const float*>(from[group].at(row, piece)), more);
#pragma unroll
    for (int k = 0; k < 8; ++k) sum[k] += more[k];
  }
}

// Calls f(row, piece) for the block's pieces of `rows` rows, whole warps at a time.
template <class C, int rows, class F>
__device__ inline void each_piece(const F& f) {
#pragma unroll
  for (int k = 0; k < (rows * row_pieces + C::threads - 1) / C::threads; ++k) {
    const int i = static_cast<int>(threadIdx.x) + k * C::threads;
    if (i < rows * row_pieces) f(i / row_pieces, i % row_pieces);
  }
}

// A block's rows in shared memory, from address `base` on: those of h or norm(h), then of the
// gradient that comes in; their norms' factors; and where they are among a member's, whose numbers
// begin at `member`.
struct BlockRows {
  uint32_t base;
  unsigned char *unit, *dout;
  float* rstd;
  int begin, end;
  int64_t member;
};

// What finish_rows does, from sums in shared memory: dx in place of dout and df (where it is
// another) in place of norm(h), both to global memory as well.
template <class C, int groups>
__device__ void finish_pieces(const StreamBack& s, const SumPlaces (&sums)[groups],
                              const BlockRows& rows) {
  each_piece<C, C::own>([&](int row, int piece) {
    const uint32_t place = piece_at(C::own, row, piece);
    bf16* const own = reinterpret_cast<bf16*>(rows.dout + place);
    bf16* const other = reinterpret_cast<bf16*>(rows.unit + place);
    float du[8], u[8], d[8], product = 0.0f;
    add_sums(du, sums, row, piece);
    load8(other, u);
    load8(own, d);
#pragma unroll
    for (int k = 0; k < 8; ++k) du[k] *= s.dinput, product += du[k] * u[k];
    product = group_sum<row_pieces>(product) / wide_row;
    const float factor = s.input_gradient * rows.rstd[row];
    const bool real = rows.begin + row < rows.end;
    const int64_t at = rows.member + static_cast<int64_t>(rows.begin + row) * wide_row + 8 * piece;
#pragma unroll
    for (int k = 0; k < 8; ++k) d[k] = s.around * d[k] + factor * (du[k] - u[k] * product);
    const auto put = [&](bf16* kept, bf16* to, float share) {
      float x[8];
#pragma unroll
      for (int k = 0; k < 8; ++k) x[k] = share * d[k];
      store8(kept, x);
      if (real) store16(to + at, *reinterpret_cast<const uint4*>(kept));
    };
    put(own, s.dx, s.skip);
    if (s.df) put(other, s.df, s.branch);
  });
}

}  // namespace rung::cuda
