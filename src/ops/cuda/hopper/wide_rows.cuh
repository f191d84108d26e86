// Blocks that keep rows of 128 columns in shared memory as two panels (wgmma.cuh): C::own rows, 64
// a warpgroup, by C::threads threads.
#pragma once
#include "ops/cuda/device.h"
#include "ops/cuda/hopper/wgmma.cuh"

namespace rung::cuda {

constexpr int wide_row = 128;

// A block's rows from row `begin` on; zeros beyond the member's last.
template <class C>
__device__ void load_own(uint32_t to, const bf16* from, int begin, int end) {
  constexpr int pieces = wide_row / 8;
#pragma unroll 4
  for (int i = threadIdx.x; i < C::own * pieces; i += C::threads) {
    const int row = i / pieces, piece = i % pieces;
    const bool real = begin + row < end;
    copy_async<16>(to + piece_at(C::own, row, piece),
                   from + static_cast<int64_t>(real ? begin + row : 0) * wide_row + 8 * piece,
                   real);
  }
}

// sum = a warpgroup's 64 rows at `own` times the transpose of other panels of so many `rows`,
// started.
template <class C, int rows, int blocks>
__device__ void start_rows(float (&sum)[blocks][4], uint64_t own, uint64_t other) {
#pragma unroll
  for (int k = 0; k < wide_row / 16; ++k) {
    const uint64_t a = moved(own, k / 4 * C::own * panel_row + k % 4 * 32);
    const uint64_t b = moved(other, k / 4 * rows * panel_row + k % 4 * 32);
    if (k == 0)
      multiply(sum, a, b);
    else
      multiply_add(sum, a, b);
  }
}
// The same, and waited for.
template <class C, int rows, int blocks>
__device__ void multiply_rows(float (&sum)[blocks][4], uint64_t own, uint64_t other) {
  wgmma_fence();
  start_rows<C, rows>(sum, own, other);
  wgmma_commit();
  wgmma_wait<0>();
  pin(sum);
}

// A warp's 16 rows, from row `first` of the block on, to global memory where they are there.
template <class C>
__device__ void write_own(const unsigned char* from, bf16* to, int first, int begin, int end,
                          int lane) {
  constexpr int pieces = wide_row / 8;
#pragma unroll 4
  for (int i = lane; i < 16 * pieces; i += 32) {
    const int row = first + i / pieces, piece = i % pieces;
    if (begin + row < end)
      store16(to + static_cast<int64_t>(begin + row) * wide_row + 8 * piece,
              *reinterpret_cast<const uint4*>(from + piece_at(C::own, row, piece)));
  }
}

// Rows in shared memory become their RMSNorm, which goes to global memory (`unit`, may be null)
// where it is wanted.
template <class C>
__device__ void normalise(unsigned char* rows, float epsilon, float* rstd, bf16* unit, int begin,
                          int end) {
  constexpr int pieces = wide_row / 8;
#pragma unroll 2
  for (int i = threadIdx.x; i < C::own * pieces; i += C::threads) {
    const int row = i / pieces, piece = i % pieces;
    bf16* const own = reinterpret_cast<bf16*>(rows + piece_at(C::own, row, piece));
    float value[8], squares = 0.0f;
    load8(own, value);
#pragma unroll
    for (int k = 0; k < 8; ++k) squares += value[k] * value[k];
    const float scale = rsqrtf(group_sum<pieces>(squares) / wide_row + epsilon);
#pragma unroll
    for (int k = 0; k < 8; ++k) value[k] *= scale;
    store8(own, value);
    if (unit && begin + row < end)
      store16(unit + static_cast<int64_t>(begin + row) * wide_row + 8 * piece,
              *reinterpret_cast<const uint4*>(own));
    if (piece == 0) rstd[row] = scale;
  }
}

// A quad of lanes has of four blocks of eight columns two neighbours a lane; afterwards lane c has
// all of block c.
__device__ inline void gather_blocks(Quad& v, int lane) {
  const bool odd = lane & 1, high = lane & 2;
  uint32_t a = __shfl_xor_sync(0xffffffffu, odd ? v[0] : v[1], 1);
  uint32_t b = __shfl_xor_sync(0xffffffffu, odd ? v[2] : v[3], 1);
  if (odd)
    v[0] = a, v[2] = b;
  else
    v[1] = a, v[3] = b;
  a = __shfl_xor_sync(0xffffffffu, high ? v[0] : v[2], 2);
  b = __shfl_xor_sync(0xffffffffu, high ? v[1] : v[3], 2);
  if (high)
    v[0] = a, v[1] = b;
  else
    v[2] = a, v[3] = b;
}

// A operands of a warp's 16 rows (from `row` on) and 64 columns, of which `columns` are there, to
// rows `stride` apart.
__device__ inline void write_columns(const Quad* from, bf16* to, int64_t stride, int row, int end,
                                     int columns, int lane) {
#pragma unroll
  for (int r = 0; r < 2; ++r)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      Quad v;
#pragma unroll
      for (int n = 0; n < 4; ++n) v[n] = from[2 * half + n / 2][r + n % 2 * 2];
      gather_blocks(v, lane);
      const int at = row + lane / 4 + 8 * r, column = 32 * half + 8 * (lane % 4);
      if (at < end && column < columns)
        store16(to + at * stride + column, make_uint4(v[0], v[1], v[2], v[3]));
    }
}

// Four 8 x 8 matrices to shared memory; lane l gives the address of row l % 8 of matrix l / 8.
__device__ inline void store_matrices(uint32_t row, const Quad& from) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};"
               :
               : "r"(row), "r"(from[0]), "r"(from[1]), "r"(from[2]), "r"(from[3])
               : "memory");
}

// The same with every matrix turned.
__device__ inline void store_matrices_turned(uint32_t row, const Quad& from) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};"
               :
               : "r"(row), "r"(from[0]), "r"(from[1]), "r"(from[2]), "r"(from[3])
               : "memory");
}

// What write_columns does for 32 `halves` columns, by way of `stage`, the warp's own staged_bytes
// of shared memory, instead of shuffles.
constexpr int staged_row = 80, staged_bytes = 16 * staged_row;  // 32 columns, apart by 16 bytes
template <int halves>
__device__ inline void write_staged(const Quad* from, bf16* to, int64_t stride, int row, int end,
                                    int columns, int lane, unsigned char* stage) {
  const uint32_t place =
      shared_address(stage) + (lane % 8 + lane / 8 % 2 * 8) * staged_row + lane / 16 * 16;
#pragma unroll
  for (int half = 0; half < halves; ++half) {
#pragma unroll
    for (int k = 0; k < 2; ++k) store_matrices(place + 32 * k, from[2 * half + k]);
    __syncwarp();
    uint4 v[2];
#pragma unroll
    for (int r = 0; r < 2; ++r)
      v[r] =
          *reinterpret_cast<const uint4*>(stage + (lane / 4 + 8 * r) * staged_row + lane % 4 * 16);
    __syncwarp();  // it may be overwritten
    const int column = 32 * half + 8 * (lane % 4);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int at = row + lane / 4 + 8 * r;
      if (at < end && column < columns) store16(to + at * stride + column, v[r]);
    }
  }
}

// How the gradient of the residual stream comes about: total = around dout + input_gradient du
// through the norm, du times dinput; dx = skip total, df = branch total (df may be null).
struct StreamBack {
  bf16 *dx, *df;
  float dinput, input_gradient, around, skip, branch;
};

// From du, times `factor`: dx in place of dout, df (where it is another) in place of norm(h).
template <class C>
__device__ void finish_rows(const StreamBack& s, float (&du)[16][4], unsigned char* unit,
                            unsigned char* dout, const float* rstd, int first, int lane) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = first + lane / 4 + 8 * r;
    const auto place = [&](int n) { return piece_at(C::own, row, n) + lane % 4 * 4; };
    float product = 0.0f;
#pragma unroll
    for (int n = 0; n < 16; ++n) {
      const uint32_t u = *reinterpret_cast<const uint32_t*>(unit + place(n));
      du[n][2 * r] *= s.dinput, du[n][2 * r + 1] *= s.dinput;
      product += du[n][2 * r] * __uint_as_float(u << 16);
      product += du[n][2 * r + 1] * __uint_as_float(u & 0xffff0000u);
    }
    product = group_sum<4>(product) / wide_row;
    const float factor = s.input_gradient * rstd[row];
#pragma unroll
    for (int n = 0; n < 16; ++n) {
      uint32_t& u = *reinterpret_cast<uint32_t*>(unit + place(n));
      uint32_t& d = *reinterpret_cast<uint32_t*>(dout + place(n));
      const float low = s.around * __uint_as_float(d << 16) +
                        factor * (du[n][2 * r] - __uint_as_float(u << 16) * product);
      const float high = s.around * __uint_as_float(d & 0xffff0000u) +
                         factor * (du[n][2 * r + 1] - __uint_as_float(u & 0xffff0000u) * product);
      d = pack2(s.skip * low, s.skip * high);
      if (s.df) u = pack2(s.branch * low, s.branch * high);
    }
  }
}

}  // namespace rung::cuda
