// Warp-level bf16 matrix products (PTX mma.m16n8k16, ldmatrix). In a lane's terms, with g = lane /
// 4 and c = lane % 4: A [16, 16] is {(g, 2c), (g + 8, 2c), (g, 2c + 8), (g + 8, 2c + 8)}, B [16, 8]
// is
// {(2c, g), (2c + 8, g)} and C [16, 8] is {(g, 2c), (g, 2c + 1), (g + 8, 2c), (g + 8, 2c + 1)},
// each A and B entry two neighbours along k.
#pragma once
#include "ops/cuda/common.cuh"

namespace rung::cuda {

using Quad = uint32_t[4];

// Four 8 x 8 matrices; lane l gives the address of row l % 8 of matrix l / 8.
__device__ inline void load_matrices(Quad& to, const bf16* row) {
  const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(at));
}
__device__ inline void load_transposed(Quad& to, const bf16* row) {
  const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(at));
}

// sum += A B.
__device__ inline void multiply_add(float (&sum)[4], const Quad& a, uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// The same for 16 columns, of which sum[0] and sum[1] have eight each.
__device__ inline void multiply_add(float (*sum)[4], const Quad& a, const Quad& b) {
  multiply_add(sum[0], a, b[0], b[1]);
  multiply_add(sum[1], a, b[2], b[3]);
}

__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Rows [rows, stride] in shared memory, cut into tiles of 16 by 16, as the operands that the
// products above want.
template <int fixed>
struct Tile {
  const bf16* base;
  int lane;
  int stride = fixed;

  __device__ const bf16* at(int row, int column) const { return base + row * stride + column; }
  // A: rows 16 tile .., columns 16 k ...
  __device__ void as_a(Quad& to, int tile, int k) const {
    load_matrices(to, at(16 * tile + lane % 16, 16 * k + lane / 16 * 8));
  }
  // A = the rows' transpose, k along them: k 16 tile .., rows of A 16 m ...
  __device__ void as_a_of_columns(Quad& to, int tile, int m) const {
    load_transposed(to, at(16 * tile + lane / 16 * 8 + lane % 8, 16 * m + lane / 8 % 2 * 8));
  }
  // B = rows' transpose, k along the columns: {to[0], to[1]} for rows 0-7, {to[2], to[3]} for 8-15.
  __device__ void as_b_of_rows(Quad& to, int tile, int k) const {
    load_matrices(to, at(16 * tile + lane / 16 * 8 + lane % 8, 16 * k + lane / 8 % 2 * 8));
  }
  // B = the rows themselves, k along them: {to[0], to[1]} for columns 16 n to 16 n + 7, the others
  // for the next eight.
  __device__ void as_b_of_columns(Quad& to, int tile, int n) const {
    load_transposed(to, at(16 * tile + lane % 16, 16 * n + lane / 16 * 8));
  }
};

// The C matrices of two neighbouring blocks of eight columns, rounded, as the A of a product over
// those 16 columns.
__device__ inline void as_a(Quad& to, const float (&low)[4], const float (&high)[4]) {
  to[0] = pack2(low[0], low[1]);
  to[1] = pack2(low[2], low[3]);
  to[2] = pack2(high[0], high[1]);
  to[3] = pack2(high[2], high[3]);
}

// The same of value(block, place): what stands in `place` of the C matrix of a block of eight
// columns.
template <int n, class F>
__device__ inline void make_a(Quad (&to)[n], const F& value) {
#pragma unroll
  for (int k = 0; k < n; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int block = 2 * k + i / 2, place = i % 2 * 2;
      to[k][i] = pack2(value(block, place), value(block, place + 1));
    }
}

}  // namespace rung::cuda
