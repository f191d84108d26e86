// Heads of 64 elements as panels of wgmma.cuh: a row is 128 bytes, a tile 64 rows.
#pragma once
#include "ops/cuda/hopper/tensor_copy.cuh"
#include "ops/cuda/hopper/wgmma.cuh"
#include "ops/cuda/rope.cuh"

namespace rung::cuda {

constexpr int wide_head = 64, wide_tile = 64;  // elements of a head; rows of a tile
constexpr int wide_panel = wide_tile * panel_row;

// Packed rows [sequences, time, parts, 64] in boxes of `box_rows` rows of a part.
inline CUtensorMap wide_map(const void* base, const RopeShape& r, int64_t parts, int box_rows) {
  return tensor_map(
      {base, 64, r.time, parts, r.sequences, parts * 64, 64, r.time * parts * 64, box_rows});
}

// Of a warp's 16 rows a lane turns four pairs in each of four rows. Rows of half a warp are four
// apart, which puts their pieces into different banks.
__device__ inline int wide_row_of(int i, int lane) {
  return lane / 8 % 2 * 4 + lane / 16 + i % 2 * 2 + i / 2 * 8;
}
struct WideAngles {
  float cosine[4][4], sine[4][4];
};
__device__ inline void load_wide_angles(WideAngles& to, const Angles& a, int first, int time,
                                        int lane) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int at = min(first + wide_row_of(i, lane), time - 1) * 32 + lane % 8 * 4;
    load4(a.cosine + at, to.cosine[i]);
    load4(a.sine + at, to.sine[i]);
  }
}

__device__ inline uint2 load_shared8(uint32_t at) {
  uint2 v;
  asm volatile("ld.shared.v2.b32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "r"(at) : "memory");
  return v;
}
__device__ inline void store_shared8(uint32_t at, uint32_t x, uint32_t y) {
  asm volatile("st.shared.v2.b32 [%0], {%1, %2};" ::"r"(at), "r"(x), "r"(y) : "memory");
}

__device__ inline void unpack4(const uint2& v, float (&x)[4]) {
  x[0] = __uint_as_float(v.x << 16), x[1] = __uint_as_float(v.x & 0xffff0000u);
  x[2] = __uint_as_float(v.y << 16), x[3] = __uint_as_float(v.y & 0xffff0000u);
}

// The warp's rows of queries and keys where they lie.
__device__ inline void turn_wide_rows(const WideAngles& angles, uint32_t q, uint32_t k, int lane) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int row = wide_row_of(i, lane);
    const uint32_t low = piece_at(16, row, lane % 8 / 2) + lane % 2 * 8, high = low ^ 64;
#pragma unroll
    for (int part = 0; part < 2; ++part) {
      const uint32_t base = part ? k : q;
      float a[4], b[4], c[4];
      unpack4(load_shared8(base + low), a);
      unpack4(load_shared8(base + high), b);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        c[e] = a[e] * angles.cosine[i][e] - b[e] * angles.sine[i][e];
        b[e] = b[e] * angles.cosine[i][e] + a[e] * angles.sine[i][e];
      }
      store_shared8(base + low, pack2(c[0], c[1]), pack2(c[2], c[3]));
      store_shared8(base + high, pack2(b[0], b[1]), pack2(b[2], b[3]));
    }
  }
}

}  // namespace rung::cuda
