// How a warp writes a tile's results (many_heads.cuh), for gradients of turned rows after turning
// them back.
#pragma once
#include "ops/cuda/hopper/many_heads.cuh"

namespace rung::cuda {

// 16 bytes from shared to global memory, as one access each.
__device__ inline void copy_out(void* to, uint32_t from) {
  asm volatile(
      "{\n\t.reg .b32 a, b, c, d;\n\t"
      "ld.shared.v4.b32 {a, b, c, d}, [%1];\n\t"
      "st.global.v4.b32 [%0], {a, b, c, d};\n\t}"
      :
      : "l"(to), "r"(from)
      : "memory");
}
// 16 rows of bf16 pairs, C matrices' packed (`store_quad`'s order), written by 16 bytes a lane by
// way of the warp's `scratch`.
template <int D>
__device__ inline void write_rows(const Quad (&rows)[D / 16], uint32_t scratch, unsigned lane,
                                  uint32_t across, bf16* to, int64_t stride, unsigned first,
                                  unsigned time) {
  __syncwarp();
#pragma unroll
  for (int k = 0; k < D / 16; ++k) store_quad(scratch + (across ^ (32 * k)), rows[k]);
  __syncwarp();
#pragma unroll
  for (int i = 0; i < D / 16; ++i) {
    const unsigned item = lane + 32 * i, row = item / (D / 8), piece = item % (D / 8);
    if (first + row < time)
      copy_out(to + (first + row) * stride + 8 * piece, scratch + place<D>(row, piece));
  }
}

// Where a warp writes a head's gradients.
template <int D>
struct Writer {
  const Small& s;
  uint32_t scratch;
  unsigned lane;
  uint32_t across;
  bf16* to;  // the head's first row of the part in question
  int64_t stride;

  __device__ void write(const float (&sum)[D / 8][4], unsigned tile) const {
    Quad rows[D / 16];
#pragma unroll
    for (int k = 0; k < D / 16; ++k) as_a(rows[k], sum[2 * k], sum[2 * k + 1]);
    write_rows<D>(rows, scratch, lane, across, to, stride, 16 * tile, s.rope.time);
  }
  __device__ void write_scaled(float (&sum)[D / 8][4], unsigned tile, float factor) const {
#pragma unroll
    for (int n = 0; n < D / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[n][e] *= factor;
    write(sum, tile);
  }
  // Turned back by the rows' positions: of a pair one element is D / 16 matrices further.
  __device__ void write_turned(float (&sum)[D / 8][4], unsigned tile, float factor) const {
    if (s.angles.cosine)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const unsigned row = min(16 * tile + lane / 4 + 8 * r, s.rope.time - 1);
#pragma unroll
        for (int n = 0; n < D / 16; ++n) {
          const unsigned at = row * (D / 2) + 8 * n + 2 * (lane % 4);
          const float2 cosine = *reinterpret_cast<const float2*>(s.angles.cosine + at),
                       sine = *reinterpret_cast<const float2*>(s.angles.sine + at);
          turn_back(sum[n][2 * r], sum[n + D / 16][2 * r], cosine.x, sine.x);
          turn_back(sum[n][2 * r + 1], sum[n + D / 16][2 * r + 1], cosine.y, sine.y);
        }
      }
    write_scaled(sum, tile, factor);
  }
  __device__ static void turn_back(float& a, float& b, float cosine, float sine) {
    const float first = a * cosine + b * sine;
    b = b * cosine - a * sine;
    a = first;
  }
};

}  // namespace rung::cuda
