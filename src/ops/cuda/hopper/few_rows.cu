#include <cooperative_groups.h>

#include "ops/cuda/device.h"
#include "ops/cuda/hopper/cluster.cuh"
#include "ops/cuda/hopper/few_rows_kernels.h"
#include "ops/cuda/hopper/slice_ring.cuh"
#include "ops/cuda/hopper/wgmma.cuh"

namespace rung::cuda {
namespace {

namespace groups = cooperative_groups;

// A block's tile of a gradient, half of it each of two warpgroups', and its ring of rows: of dy and
// of x two panels each.
struct GradientTile {
  static constexpr int out = 128, in = 128, rows = 64, threads = 256;
  static constexpr int stages = 4, users = 8, panel_bytes = rows * panel_row;
  static constexpr int slice_bytes = 4 * panel_bytes, barriers_at = stages * slice_bytes;
  static constexpr int bytes = 1024 + barriers_at + stages * 16;
  static constexpr int line = in + 4;  // floats between rows of sums, free of bank conflicts
  static_assert(out * line * 4 <= barriers_at);
};

struct Gradient {
  float* to;
  int64_t member_stride;
  int out, in, tiles_in, first_tile;
  float factor;
  bool adds;
};
struct Gradients {
  Gradient all[most_row_sums];
  int count, slices, each;  // slices of a member's rows, of a block
};

// dy and x of each as the copies want them.
struct RowMaps {
  CUtensorMap dy[most_row_sums], x[most_row_sums];
};

// The block's sums, which lie in shared memory, and those of the cluster's others are added to its
// share of the tile.
__device__ void join_cluster(const Gradient& s, float* own, int first_out, int first_in) {
  using C = GradientTile;
  const groups::cluster_group cluster = groups::this_cluster();
  const int count = static_cast<int>(cluster.num_blocks()), share = C::out / count;
  const int first = static_cast<int>(cluster.block_rank()) * share;
  float* const member = s.to + blockIdx.y * s.member_stride;
  for (int i = threadIdx.x; i < share * C::in / 4; i += C::threads) {
    const int row = first + i / (C::in / 4), column = i % (C::in / 4) * 4;
    if (first_out + row >= s.out || first_in + column >= s.in) continue;
    float4& to = *reinterpret_cast<float4*>(member + static_cast<int64_t>(first_out + row) * s.in +
                                            first_in + column);
    const float4 old = s.adds ? to : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll 4
    for (int block = 0; block < count; ++block) {
      const float4 part = *reinterpret_cast<const float4*>(cluster.map_shared_rank(own, block) +
                                                           row * C::line + column);
      sum.x += part.x, sum.y += part.y, sum.z += part.z, sum.w += part.w;
    }
    to = make_float4(old.x + s.factor * sum.x, old.y + s.factor * sum.y, old.z + s.factor * sum.z,
                     old.w + s.factor * sum.w);
  }
}

__global__ void __launch_bounds__(GradientTile::threads)
    sum_rows(const __grid_constant__ Gradients s, const __grid_constant__ RowMaps maps) {
  using C = GradientTile;
  extern __shared__ unsigned char shared[];
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const Ring<C> ring{base, base + C::barriers_at};
  const groups::cluster_group cluster = groups::this_cluster();
  const int part = static_cast<int>(cluster.block_rank());
  const int place = static_cast<int>(blockIdx.x / cluster.num_blocks());
  int which = 0;
#pragma unroll
  for (int i = 1; i < most_row_sums; ++i)
    if (i < s.count && place >= s.all[i].first_tile) which = i;
  const Gradient& g = s.all[which];
  const int tile = place - g.first_tile;
  const int first_out = tile / g.tiles_in * C::out, first_in = tile % g.tiles_in * C::in;
  const int begin = part * s.each, count = max(0, min(s.each, s.slices - begin));
  const auto load = [&](int i) {
    ring.announce_slice(i);
    const int row = (begin + i) * C::rows, member = static_cast<int>(blockIdx.y);
#pragma unroll
    for (int panel = 0; panel < 2; ++panel) {
      const uint32_t to = ring.slice(i) + panel * C::panel_bytes;
      const int column = panel * panel_columns;
      copy_box(to, maps.dy[which], ring.full(i), first_out + column, row, 0, member);
      copy_box(to + 2 * C::panel_bytes, maps.x[which], ring.full(i), first_in + column, row, 0,
               member);
    }
  };
  if (threadIdx.x == 0) {
    ring.start();
    show_barriers();
    for (int i = 0; i < min(C::stages, count); ++i) load(i);
  }
  __syncthreads();
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  float sum[16][4] = {};
#pragma unroll 1
  for (int i = 0; i < count; ++i) {
    ring.wait(i);
    const uint64_t dy = describe(ring.slice(i) + warp / 4 * C::panel_bytes, 0);
    const uint64_t x = describe(ring.slice(i) + 2 * C::panel_bytes, C::panel_bytes);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < C::rows / 16; ++k)
      multiply_add_turned(sum, moved(dy, k * 16 * panel_row), moved(x, k * 16 * panel_row));
    wgmma_commit();
    wgmma_wait<0>();
    pin(sum);
    ring.done(i, lane);
    if (threadIdx.x == 0) ring.replace(i, count, load);
    __syncwarp();
  }
  __syncthreads();  // the ring is empty: its place takes the sums
  float* const own = reinterpret_cast<float*>(shared + (base - start));
#pragma unroll
  for (int r = 0; r < 2; ++r)
#pragma unroll
    for (int n = 0; n < 16; ++n)
      *reinterpret_cast<float2*>(own + (16 * warp + lane / 4 + 8 * r) * C::line + 8 * n +
                                 lane % 4 * 2) = make_float2(sum[n][2 * r], sum[n][2 * r + 1]);
  cluster.sync();
  join_cluster(g, own, first_out, first_in);
  cluster.sync();  // nobody reads this block's memory any more
}

int64_t tiles_of(const RowSum& s) {
  using C = GradientTile;
  return static_cast<int64_t>(blocks_for(s.out, C::out)) * blocks_for(s.in, C::in);
}
int64_t tiles_of(const RowSums& s) {
  int64_t tiles = 0;
  for (int i = 0; i < s.count; ++i) tiles += tiles_of(s.sums[i]);
  return tiles;
}

// Blocks that share a tile: a power of two up to 8, with half of the multiprocessors' number of
// blocks in all (the others are for what this runs beside) and four slices each, where that can be.
int splits_of(const RowSums& s) {
  const int64_t slices = (s.rows + GradientTile::rows - 1) / GradientTile::rows;
  int splits = 1;
  while (splits < 8 && 2 * splits * tiles_of(s) * s.members <= processors() / 2 &&
         4 * 2 * splits <= slices)
    splits *= 2;
  return splits;
}

}  // namespace

bool fits_row_sums(const RowSums& s) {
  for (int i = 0; i < s.count; ++i)
    if (s.sums[i].out % 8 != 0 || s.sums[i].in % 8 != 0) return false;
  return s.members * s.rows <= 64 * processors() && 2 * tiles_of(s) * s.members <= processors();
}

void add_row_sums(const RowSums& sums, Stream stream) {
  using C = GradientTile;
  const int splits = splits_of(sums);
  Gradients s{};
  RowMaps maps{};
  s.count = sums.count;
  s.slices = static_cast<int>((sums.rows + C::rows - 1) / C::rows);
  s.each = (s.slices + splits - 1) / splits;
  const auto rows = [&](const void* base, int64_t columns) {
    return tensor_map({base, columns, sums.rows, 1, sums.members, columns, sums.rows * columns,
                       sums.rows * columns, C::rows});
  };
  int64_t tiles = 0;
  for (int i = 0; i < sums.count; ++i) {
    const RowSum& own = sums.sums[i];
    s.all[i] = {own.gradient,
                own.member_stride,
                static_cast<int>(own.out),
                static_cast<int>(own.in),
                static_cast<int>(blocks_for(own.in, C::in)),
                static_cast<int>(tiles),
                own.factor,
                own.adds};
    maps.dy[i] = rows(own.dy, own.out), maps.x[i] = rows(own.x, own.in);
    tiles += tiles_of(own);
  }
  cudaFuncSetAttribute(sum_rows, cudaFuncAttributeMaxDynamicSharedMemorySize, C::bytes);
  launch_clusters(sum_rows,
                  dim3(static_cast<unsigned>(tiles * splits), static_cast<unsigned>(sums.members)),
                  C::threads, C::bytes, splits, stream, s, maps);
  check_launch();
}

}  // namespace rung::cuda
