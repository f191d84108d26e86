// Tiles of FP8 codes, by rows and transposed through shared memory.
#pragma once
#include <cuda_fp8.h>

#include "ops/cuda/common.cuh"

namespace rung::cuda {

// A block casts a tile, a thread four rows of four columns; `fp8_line`: words of a turned column.
constexpr int fp8_tile = 64, fp8_threads = 256, fp8_line = fp8_tile / 4 + 1;

template <__nv_fp8_interpretation_t kind>
__device__ inline uint32_t encode(const float (&v)[4], float scale) {
  const uint32_t low = __nv_cvt_float2_to_fp8x2(make_float2(v[0] * scale, v[1] * scale),
                                                __NV_SATFINITE, kind),
                 high = __nv_cvt_float2_to_fp8x2(make_float2(v[2] * scale, v[3] * scale),
                                                 __NV_SATFINITE, kind);
  return low | high << 16;
}

// Four rows of four codes become four columns, in four words below each other.
__device__ inline void turn_codes(const uint32_t (&rows)[4], uint32_t (*turned)[fp8_line],
                                  int column, int group) {
  const uint32_t a = __byte_perm(rows[0], rows[1], 0x5140),
                 b = __byte_perm(rows[2], rows[3], 0x5140),
                 c = __byte_perm(rows[0], rows[1], 0x7362),
                 d = __byte_perm(rows[2], rows[3], 0x7362);
  turned[column][group] = __byte_perm(a, b, 0x5410);
  turned[column + 1][group] = __byte_perm(a, b, 0x7632);
  turned[column + 2][group] = __byte_perm(c, d, 0x5410);
  turned[column + 3][group] = __byte_perm(c, d, 0x7632);
}

// A thread's place in the matrix, and in the tile.
struct Fp8Place {
  int64_t row0, column0;  // of the tile
  int column, group;      // of the thread: its first column, and its four rows' number
  __device__ Fp8Place()
      : row0(static_cast<int64_t>(blockIdx.y) * fp8_tile),
        column0(static_cast<int64_t>(blockIdx.x) * fp8_tile),
        column(static_cast<int>(threadIdx.x) % 16 * 4),
        group(static_cast<int>(threadIdx.x) / 16) {}
  __device__ bool inside(const Fp8Shape& s) const {  // sizes are multiples of 16
    return row0 + 4 * group < s.rows && column0 + column < s.columns;
  }
  __device__ int64_t row(int k) const { return row0 + 4 * group + k; }
};

// The tile's columns into a member's transposed codes, of which they begin at `first`.
__device__ inline void write_turned(const Fp8Shape& s, const Fp8Place& p,
                                    const uint32_t (*turned)[fp8_line], int64_t first,
                                    uint8_t* to) {
  const int own = static_cast<int>(threadIdx.x) / 4, part = static_cast<int>(threadIdx.x) % 4;
  if (p.column0 + own >= s.columns || p.row0 + 16 * part >= s.rows) return;
  const uint32_t* from = &turned[own][4 * part];
  *reinterpret_cast<uint4*>(to + (first + p.column0 + own) * s.rows + p.row0 + 16 * part) =
      make_uint4(from[0], from[1], from[2], from[3]);
}

}  // namespace rung::cuda
