// The gradient through the next norm and its map (sliced_next.cuh) at the beginning of sliced_mlp's
// backward pass where warpgroups share rows: the map passes through the ring before the ffn's
// slices do, each of its slices with its outputs' gradients, and what comes out is the gradient
// that the ffn's pass starts from.
#pragma once
#include "ops/cuda/hopper/sliced_mlp.cuh"
#include "ops/cuda/hopper/sliced_sums.cuh"

namespace rung::cuda {

struct NextBackParts {
  const bf16 *x, *around;  // what the norm is of; the gradient of that from elsewhere, or null
  const bf16* dy;          // read where there is no map
  bf16 *dx, *unit;         // dx: null where nothing comes next; unit: where nobody wants it
  int slices;              // of the map; 0: there is none
  float epsilon, dinput;
};

struct NextBackMaps {
  CUtensorMap map, dy;
};

// A slice: 64 outputs' rows of the map as two panels, and the gradients of those outputs.
template <class C>
struct NextBackSlices {
  static constexpr int outputs = 64, map_bytes = outputs * wide_row * 2;
  static constexpr int bytes = map_bytes + C::own * panel_row;
  static_assert(bytes <= C::slice_bytes);
};

inline int next_back_slices(const NextMapGradient* next) {
  return next && next->map ? static_cast<int>((next->out + 63) / 64) : 0;
}

inline NextBackParts next_back_parts(const NextMapGradient* next) {
  if (!next) return {};
  return {static_cast<const bf16*>(next->x),
          static_cast<const bf16*>(next->around),
          static_cast<const bf16*>(next->dy),
          static_cast<bf16*>(next->dx),
          static_cast<bf16*>(next->unit),
          next_back_slices(next),
          next->epsilon,
          next->dinput};
}

template <class C>
NextBackMaps next_back_maps(const MlpShape& s, const NextMapGradient& next) {
  return {tensor_map({next.map, wide_row, next.out, 1, s.members, wide_row, next.out * wide_row,
                      next.map_stride, NextBackSlices<C>::outputs}),
          tensor_map({next.dy, next.out, s.rows, 1, s.members, next.out, s.rows * next.out,
                      s.rows * next.out, C::own})};
}

// The map's slice i, which takes the ring's place i; by one thread.
template <class C>
__device__ void load_next_back(const Ring<C>& ring, const NextBackMaps& maps, int begin, int i) {
  using N = NextBackSlices<C>;
  const int first = i * N::outputs, member = static_cast<int>(blockIdx.y);
  announce(ring.full(i), N::bytes);
#pragma unroll
  for (int panel = 0; panel < 2; ++panel)
    copy_box(ring.slice(i) + panel * N::map_bytes / 2, maps.map, ring.full(i),
             panel * panel_columns, first, 0, member);
  copy_box(ring.slice(i) + N::map_bytes, maps.dy, ring.full(i), first, begin, 0, member);
}

// The block's rows of s.x (which have been asked for at `unit`) and of s.around (at `dout`) become
// norm(x), which nobody needs afterwards, and the gradient of x, which is written as well; `sums`
// is for two warpgroups', which are enough for the few products here. load(i): the ring's i-th
// slice of `all`, the ffn's and what follows included.
template <class C, class Load>
__device__ void next_back(const NextBackParts& s, const Ring<C>& ring, const BlockRows& rows,
                          int all, const Load& load) {
  using N = NextBackSlices<C>;
  constexpr int groups = 2;
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const int group = warp / 4;
  unsigned char* const sums = rows.unit + C::sums_at;
  const SumPlaces places[groups] = {{sums, sums + half_sums},
                                    {sums + 2 * half_sums, sums + 3 * half_sums}};
  if (group < groups) {
    float du[16][4] = {};
#pragma unroll 1
    for (int slice = group; slice < s.slices; slice += groups) {
      ring.wait(slice);
      const uint32_t at = __shfl_sync(0xffffffffu, ring.slice(slice), 0);
      const uint64_t lines = describe(at, N::outputs * panel_row),
                     dy = describe(at + N::map_bytes, 0);
      wgmma_fence();
#pragma unroll
      for (int k = 0; k < N::outputs / 16; ++k)
        multiply_add<1>(du, moved(dy, k * 32), moved(lines, k * 16 * panel_row));
      wgmma_commit();
      wgmma_wait<0>();
      pin(du);
      ring.done(slice, lane);
      if (threadIdx.x % 128 == 0) ring.replace(slice, all, load);
      __syncwarp();
    }
    unsigned char* const own = sums + 2 * group * half_sums;
    put_sums({own, own + half_sums}, du, 16 * (warp % 4), lane);
  }
  wait_copies<0>();
  __syncthreads();
  normalise<C>(rows.unit, s.epsilon, rows.rstd, s.unit ? s.unit + rows.member : nullptr, rows.begin,
               rows.end);
  __syncthreads();
  finish_pieces<C>({s.dx, nullptr, s.dinput, 1.0f, 1.0f, 1.0f, 1.0f}, places, rows);
  __syncthreads();
}

// The same where there is a norm alone: a thread has pieces of rows of x, dy and around.
template <class C>
__device__ void norm_back(const NextBackParts& s, unsigned char* dout, int begin, int end,
                          int64_t member) {
  constexpr int pieces = wide_row / 8, each = (C::own * pieces + C::threads - 1) / C::threads;
  static_assert(C::own * pieces % 32 == 0);  // whole warps
  Raw<bf16> x[each] = {}, dy[each] = {}, around[each] = {};
  const auto place = [&](int k) {
    const int i = threadIdx.x + k * C::threads;
    return member + static_cast<int64_t>(begin + i / pieces) * wide_row + i % pieces * 8;
  };
  const auto real = [&](int k) {
    const int i = threadIdx.x + k * C::threads;
    return i < C::own * pieces && begin + i / pieces < end;
  };
#pragma unroll
  for (int k = 0; k < each; ++k) {
    if (!real(k)) continue;
    x[k] = load_raw(s.x + place(k)), dy[k] = load_raw(s.dy + place(k));
    if (s.around) around[k] = load_raw(s.around + place(k));
  }
#pragma unroll
  for (int k = 0; k < each; ++k) {
    const int i = threadIdx.x + k * C::threads;
    if (i >= C::own * pieces) continue;
    float u[8], d[8], sum[8], squares = 0.0f, product = 0.0f;
    unpack(x[k], u), unpack(dy[k], d), unpack(around[k], sum);
#pragma unroll
    for (int e = 0; e < 8; ++e) squares += u[e] * u[e], product += u[e] * d[e];
    const float scale = rsqrtf(group_sum<pieces>(squares) / wide_row + s.epsilon);
    product = group_sum<pieces>(product) / wide_row * scale * scale;
#pragma unroll
    for (int e = 0; e < 8; ++e) sum[e] += s.dinput * scale * (d[e] - u[e] * product);
    bf16* const to = reinterpret_cast<bf16*>(dout + piece_at(C::own, i / pieces, i % pieces));
    store8(to, sum);
    if (real(k)) store16(s.dx + place(k), *reinterpret_cast<const uint4*>(to));
  }
}

// The pieces of a block's rows that this thread would copy with load_own, held back until there is
// room for them.
template <class C>
struct HeldRows {
  static constexpr int pieces = wide_row / 8,
                       each = (C::own * pieces + C::threads - 1) / C::threads;
  uint4 held[each];
  __device__ void take(const bf16* from, int begin, int end) {
#pragma unroll
    for (int k = 0; k < each; ++k) {
      const int i = threadIdx.x + k * C::threads, row = begin + i / pieces;
      held[k] = make_uint4(0, 0, 0, 0);
      if (i < C::own * pieces && row < end)
        held[k] = *reinterpret_cast<const uint4*>(from + static_cast<int64_t>(row) * wide_row +
                                                  i % pieces * 8);
    }
  }
  __device__ void put(unsigned char* to) const {
#pragma unroll
    for (int k = 0; k < each; ++k) {
      const int i = threadIdx.x + k * C::threads;
      if (i < C::own * pieces)
        *reinterpret_cast<uint4*>(to + piece_at(C::own, i / pieces, i % pieces)) = held[k];
    }
  }
};

// The block's rows of h, and of the gradient of the step's output: `dout`, or what comes back
// through what is next. The block has synchronised afterwards.
template <class C, class Load>
__device__ void begin_rows(const NextBackParts& next, const bf16* h, const bf16* dout,
                           const Ring<C>& ring, const BlockRows& rows, int all, const Load& load) {
  const bool mapped = C::split && next.slices > 0, alone = C::split && !mapped && next.dx;
  const bf16* const around = mapped ? next.around : dout;
  load_own<C>(rows.base, (mapped ? next.x : h) + rows.member, rows.begin, rows.end);
  if (around) load_own<C>(rows.base + C::rows_bytes, around + rows.member, rows.begin, rows.end);
  commit_copies();
  if constexpr (C::split)
    if (mapped) {
      HeldRows<C> held;
      held.take(h + rows.member, rows.begin, rows.end);
      if (!around)
        for (int i = threadIdx.x; i < C::rows_bytes / 16; i += C::threads)
          reinterpret_cast<uint4*>(rows.dout)[i] = make_uint4(0, 0, 0, 0);
      __syncthreads();  // the ring's barriers are there
      next_back<C>(next, ring, rows, all, load);
      held.put(rows.unit);
    } else if (alone) {
      norm_back<C>(next, rows.dout, rows.begin, rows.end, rows.member);
    }
  wait_copies<0>();
  __syncthreads();
}

}  // namespace rung::cuda
