// What wide_heads_backward.h adds to scores and to their gradients: of each query the logarithm of
// its sum and delta, the sum of dout out. Over few positions two warps of a block make them of rows
// that have come, before the warpgroups that multiply get to these: out is read once then. Over
// more, where a query's would be made by many blocks, a kernel before makes them.
#pragma once
#include "ops/cuda/common.cuh"
#include "ops/cuda/hopper/wide_heads_backward.cuh"

namespace rung::cuda {

__device__ inline uint4 load_shared16(uint32_t at) {
  uint4 v;
  asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "r"(at)
               : "memory");
  return v;
}

// -delta / value of a row of the panels.
__device__ inline float negative_delta(uint32_t dout, uint32_t out, int row, float over_value) {
  float even = 0.0f, odd = 0.0f;
#pragma unroll 2
  for (int i = 0; i < 8; ++i) {
    const uint32_t at = piece_at(wide_tile, row, i);
    const uint4 x = load_shared16(dout + at), y = load_shared16(out + at);
    const uint32_t xs[4] = {x.x, x.y, x.z, x.w}, ys[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      even = fmaf(__uint_as_float(xs[e] << 16), __uint_as_float(ys[e] << 16), even);
      odd = fmaf(__uint_as_float(xs[e] & 0xffff0000u), __uint_as_float(ys[e] & 0xffff0000u), odd);
    }
  }
  return -over_value * (even + odd);
}

// A lane's row of the panels: what it adds, to shared memory.
__device__ inline void store_numbers(uint32_t to, int row, float lse, uint32_t dout, uint32_t out,
                                     float over_value) {
  store_number(to + 256 + 4 * row, negative_delta(dout, out, row, over_value));
  store_number(to + 4 * row, lse);
}

// By a warp, `helper` of wide_helpers: of every tile's queries as they come (`keys`), or of an
// item's own.
__device__ inline void number_all(const WideRoom& room, const WideWork& work, bool keys, int helper,
                                  int lane) {
  WidePlace at;
  OutPlace out;
  const int own = 32 * helper + lane;
  for (uint32_t phase = 0;; phase ^= 1) {
    wait_barrier(room.own_full(), phase);
    WideItem item;
    if (!item.load(room.item())) return;
    const int first = 2 * item.block;
    if (!keys) {
      for (int h = 0; h < 2; ++h) {
        const float lse = item.lse(work, (first + h) * wide_tile + own);
        store_numbers(room.own_numbers(h), own, lse, room.own_rows(h) + wide_panel, room.out(h),
                      work.over_value);
      }
      arrive(room.own_numbered());
      arrive(room.own_empty());
      continue;
    }
    arrive(room.own_empty());
    float lse = item.lse(work, first * wide_tile + own);
    for (int tile = first; tile < work.tiles; ++tile) {
      const float next = item.lse(work, (tile + 1) * wide_tile + own);
      wait_barrier(room.full(at.stage), at.phase);
      store_numbers(room.numbers(at.stage), own, lse, room.tile(at.stage) + wide_panel,
                    room.out(out.stage), work.over_value);
      arrive(room.out_empty(out.stage));
      arrive(room.numbered(at.stage));
      at.next();
      out.next();
      lse = next;
    }
  }
}

// The same for all queries, zeros beyond the sequence: eight lanes a row of 64.
__device__ inline void make_numbers(const WideWork& work, const bf16* out, const bf16* dout,
                                    float* to) {
  const int tile = blockIdx.x, head = blockIdx.y, sequence = blockIdx.z;
  const int64_t place = static_cast<int64_t>(sequence) * work.heads + head;
  to += (place * work.tiles + tile) * 128;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int own = threadIdx.x / 8 + 32 * half, row = tile * wide_tile + own;
    float sum = 0.0f;
    if (row < work.time) {
      const int64_t at =
          ((static_cast<int64_t>(sequence) * work.time + row) * work.heads + head) * wide_head +
          threadIdx.x % 8 * 8;
      float x[8], y[8];
      load8(out + at, x);
      load8(dout + at, y);
#pragma unroll
      for (int e = 0; e < 8; ++e) sum += x[e] * y[e];
    }
    sum = group_sum<8>(sum);
    if (threadIdx.x % 8) continue;
    to[own] = row < work.time ? -work.lse[place * work.time + row] * work.to_base_2 : 0.0f;
    to[64 + own] = -sum * work.over_value;
  }
}

}  // namespace rung::cuda
