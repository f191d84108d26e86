// Blocks stay on their multiprocessor with 128 rows of x while tiles of the matrix stream past: one
// thread brings slices of 64 columns of both by the bulk tensor copy (of x the first ones are kept,
// the others come again for each tile), and two warpgroups multiply, 64 rows each. A warpgroup has
// sums of two tiles in registers: while the tensor units work on one, exponentials of the other are
// made, summed and sent off in parts, a part behind each few slices, so that the tensor units do
// not wait for them.
#include <algorithm>

#include "ops/cuda/device.h"
#include "ops/cuda/hopper/powers_ring.cuh"
#include "ops/cuda/hopper/wide_rows.cuh"

namespace rung::cuda {
namespace {

// A warp's rows: where their exponentials go, and of a lane's two of them what these sum up to and
// the target, from the lane's first column on.
struct PowersRows {
  const CUtensorMap* to;
  uint32_t buffer;  // in shared memory
  int row, member;
  float total[2];
  int target[2];
  float* hit;  // of the first one

  // Until the buffer may be written again.
  __device__ void wait_buffer(int lane) const {
    if (lane == 0) wait_writes();
    __syncwarp();
  }
  // Exponentials of 16 columns, `pair` of four.
  __device__ void put(const Quad& v, int pair, int lane) const {
    const int line = lane % 16, piece = 2 * pair + lane / 16;
    store_matrices(buffer + line * panel_row + (piece ^ line % 8) * 16, v);
  }
  // Starts the buffer's way out; what lies outside of q is left out.
  __device__ void send(int column, int lane) const {
    show_copies();
    __syncwarp();
    if (lane > 0) return;
    write_box(*to, buffer, column, row, 0, member);
    commit_writes();
  }
};

// Exponentials of a tile's columns [32 part, 32 part + 32); of a partial tile's `left` columns are
// there.
template <class C, bool wanted, bool partial, int part>
__device__ inline void finish_part(const PowersTask& s, const float (&sum)[C::blocks][4],
                                   PowersRows& rows, int column, int left, int lane) {
  Quad v[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float total = 0.0f;
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      const float a = exp2_fast(sum[4 * part + n][2 * r] * s.scale);
      const float b = exp2_fast(sum[4 * part + n][2 * r + 1] * s.scale);
      if (!partial || 8 * (4 * part + n) < left) total += a + b;
      v[n / 2][n % 2 * 2 + r] = pack2(a, b);
    }
    rows.total[r] += total;
    // The lane has columns 8 n and 8 n + 1 of those from its first one on.
    const uint32_t hit = static_cast<uint32_t>(rows.target[r] - column - 32 * part);
    if ((hit & ~25u) == 0) {
      float z = 0.0f;
#pragma unroll
      for (uint32_t n = 0; n < 4; ++n) {
        if (hit == 8 * n) z = sum[4 * part + n][2 * r];
        if (hit == 8 * n + 1) z = sum[4 * part + n][2 * r + 1];
      }
      rows.hit[8 * r] = z * s.scale;
    }
  }
  if constexpr (wanted) {
    if constexpr (part % 2 == 0) rows.wait_buffer(lane);
#pragma unroll
    for (int i = 0; i < 2; ++i) rows.put(v[i], part % 2 * 2 + i, lane);
    if constexpr (part % 2 == 1)
      if (!partial || 32 * (part - 1) < left) rows.send(column + 32 * (part - 1), lane);
  }
}

template <class C, bool wanted, int part>
__device__ inline void finish_from(const PowersTask& s, const float (&sum)[C::blocks][4],
                                   PowersRows& rows, int column, int left, int lane) {
  finish_part<C, wanted, true, part>(s, sum, rows, column, left, lane);
  if constexpr (part + 1 < C::parts)
    finish_from<C, wanted, part + 1>(s, sum, rows, column, left, lane);
}

// The slices of a tile; behind the first of each part the same part of the tile before is finished.
template <class C, bool wanted, bool any, int part = 0>
__device__ inline void meet_tile(const PowersTask& s, PowersWalk<C>& walk,
                                 float (&sum)[C::blocks][4], float (&old)[C::blocks][4],
                                 PowersRows& rows, int column) {
  const int slices = C::slices ? C::slices : s.slices, kept = min(C::resident, slices);
  const int begin = part * slices / C::parts, end = (part + 1) * slices / C::parts;
  walk.template start<any || part != 0>(sum, begin, part > 0, kept, slices);
  if constexpr (any) {
    if constexpr (part == 0) pin(old);
    finish_part<C, wanted, false, part>(s, old, rows, column, 0, walk.lane);
  }
#pragma unroll
  for (int k = begin + 1; k < end; ++k) walk.template start<true>(sum, k, true, kept, slices);
  if constexpr (part + 1 < C::parts)
    meet_tile<C, wanted, any, part + 1>(s, walk, sum, old, rows, column);
}

template <class C, bool wanted>
__device__ void meet_item(const PowersTask& s, const PowersMaps& maps, PowersWalk<C>& walk,
                          const PowersItem& item, int warp) {
  const int lane = walk.lane, first = 16 * warp;
  PowersRows rows{&maps.q, walk.ring.start + C::buffers_at + warp * buffer_bytes, item.row + first,
                  item.member};
  const int64_t line = static_cast<int64_t>(item.member) * s.rows;
  const int own = item.row + first + lane / 4;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    rows.total[r] = 0.0f;
    rows.target[r] = -64;  // nobody's
    if (own + 8 * r < s.rows)
      rows.target[r] =
          static_cast<int>(s.targets[item.member * s.target_stride + own + 8 * r]) - lane % 4 * 2;
  }
  rows.hit = s.hits + line + own;
  float even[C::blocks][4], odd[C::blocks][4];
  meet_tile<C, wanted, false>(s, walk, even, odd, rows, 0);
  int tile = item.begin + 1;
  const auto last = [&](float(&sum)[C::blocks][4]) {
    wgmma_wait<0>();
    const int slices = C::slices ? C::slices : s.slices;
    walk.give_back(slices - 1, min(C::resident, slices));
    pin(sum);
    if (lane == 0) arrive(walk.ring.rows_free());
    const int column = (tile - 1) * C::columns;
    finish_from<C, wanted, 0>(s, sum, rows, column, s.vocabulary - column, lane);
  };
  while (true) {
    if (tile == item.end) {
      last(even);
      break;
    }
    meet_tile<C, wanted, true>(s, walk, odd, even, rows, (tile - 1) * C::columns);
    if (++tile == item.end) {
      last(odd);
      break;
    }
    meet_tile<C, wanted, true>(s, walk, even, odd, rows, (tile - 1) * C::columns);
    ++tile;
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const float total = group_sum<4>(rows.total[r]);
    if (own + 8 * r < s.rows && lane % 4 == 0)
      s.totals[(line + own + 8 * r) * s.parts + item.part] = total;
  }
}

template <class C, bool wanted>
__global__ void __launch_bounds__(powers_threads, 1)
    powers(const PowersTask s, const __grid_constant__ PowersMaps maps) {
  extern __shared__ unsigned char powers_memory[];
  PowersRing<C> ring{(shared_address(powers_memory) + 1023) / 1024 * 1024};
  if (threadIdx.x == 0) ring.prepare();
  __syncthreads();
  if (threadIdx.x < 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x == 0) bring_powers<C>(s, maps, ring);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    const int warp = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 32 - 4, 0);
    PowersWalk<C> walk{ring, ring, ring.start + static_cast<uint32_t>(warp / 4) * 64 * panel_row,
                       static_cast<int>(threadIdx.x % 32)};
    uint32_t phase = 0;
    for (int index = blockIdx.x; index < s.items; index += gridDim.x, phase ^= 1) {
      wait_barrier(ring.rows_came(), phase);
      meet_item<C, wanted>(s, maps, walk, PowersItem(s, index), warp);
    }
  }
  if (wanted && threadIdx.x % 32 == 0) wait_written();
}

template <class C>
void launch(const PowersLoss& shape, const PowersSums& to, Stream stream) {
  const auto kernel = to.q ? powers<C, true> : powers<C, false>;
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, C::bytes);
  const int groups = static_cast<int>(blocks_for(shape.rows, powers_rows));
  const PowersTask task{static_cast<int>(shape.rows),
                        static_cast<int>(shape.vocabulary),
                        static_cast<int>(shape.width / slice_columns),
                        static_cast<int>(blocks_for(shape.vocabulary, C::columns)),
                        groups,
                        shape.parts,
                        groups * static_cast<int>(shape.members) * shape.parts,
                        shape.forward * 1.44269504f,
                        shape.target_stride,
                        to.targets,
                        to.totals,
                        to.hits};
  PowersMaps maps{
      tensor_map({to.x, shape.width, shape.rows, 1, shape.members, shape.width,
                  shape.rows * shape.width, shape.row_stride, powers_rows}),
      tensor_map({to.weight, shape.width, shape.vocabulary, 1, shape.members, shape.width,
                  shape.vocabulary * shape.width, shape.weight_stride, C::columns}),
      {}};
  if (to.q)
    maps.q = tensor_map({to.q, shape.vocabulary, shape.rows, 1, shape.members, shape.vocabulary,
                         shape.rows * shape.vocabulary, shape.rows * shape.vocabulary, 16});
  const int64_t blocks = std::min<int64_t>(task.items, processors());
  kernel<<<static_cast<unsigned>(blocks), powers_threads, C::bytes, stream>>>(task, maps);
  check_launch();
}

}  // namespace

// Parts that leave the fewest multiprocessors idle in the last round.
void plan_powers_loss(PowersLoss& shape) {
  const int64_t blocks = processors(), groups = shape.members * blocks_for(shape.rows, powers_rows);
  double best = 0.0;
  for (int64_t parts = 1; parts <= std::min<int64_t>(8, shape.vocabulary / 512); ++parts) {
    const int64_t items = groups * parts, rounds = (items + blocks - 1) / blocks;
    const double used = static_cast<double>(items) / static_cast<double>(rounds * blocks);
    if (used > best + 0.02) best = used, shape.parts = static_cast<int>(parts);
  }
}

void powers_product(const PowersLoss& shape, const PowersSums& to, Stream stream) {
  switch (shape.width) {
    case 512:
      return launch<PowersTiles<8, 16, 8, 5>>(shape, to, stream);
    case 768:
      return launch<PowersTiles<12, 24, 2, 7>>(shape, to, stream);
    default:
      return launch<PowersTiles<0, 24, 2, 7>>(shape, to, stream);
  }
}

}  // namespace rung::cuda
