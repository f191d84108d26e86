#include <cooperative_groups.h>

#include "ops/cuda/device.h"
#include "ops/cuda/few_rows_kernels.h"
#include "ops/cuda/slice_ring.cuh"
#include "ops/cuda/wgmma.cuh"

namespace rung::cuda {
namespace {

namespace groups = cooperative_groups;

// A block's tile of the gradient, and its ring of rows: of dy one panel, of x two.
struct GradientTile {
  static constexpr int out = 64, in = 128, rows = 64, threads = 128;
  static constexpr int stages = 4, users = 4, panel_bytes = rows * panel_row;
  static constexpr int slice_bytes = 3 * panel_bytes, barriers_at = stages * slice_bytes;
  static constexpr int bytes = 1024 + barriers_at + stages * 16;
  static constexpr int line = in + 4;  // floats between rows of sums, free of bank conflicts
  static_assert(out * line * 4 <= barriers_at);
};

struct Sums {
  float* gradient;
  int64_t member_stride;
  int rows, out, in, tiles_in, each;  // each: slices of a block
  float factor;
};

// dy and x as the copies want them.
struct RowMaps {
  CUtensorMap dy, x;
};

// The block's sums, which lie in shared memory, and those of the cluster's others are added to its
// share of the tile.
__device__ void join_cluster(const Sums& s, float* own, int first_out, int first_in) {
  using C = GradientTile;
  const groups::cluster_group cluster = groups::this_cluster();
  const int count = static_cast<int>(cluster.num_blocks()), share = C::out / count;
  const int first = static_cast<int>(cluster.block_rank()) * share;
  float* const member = s.gradient + blockIdx.y * s.member_stride;
  for (int i = threadIdx.x; i < share * C::in / 4; i += C::threads) {
    const int row = first + i / (C::in / 4), column = i % (C::in / 4) * 4;
    if (first_out + row >= s.out || first_in + column >= s.in) continue;
    float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    for (int block = 0; block < count; ++block) {
      const float4 part = *reinterpret_cast<const float4*>(cluster.map_shared_rank(own, block) +
                                                           row * C::line + column);
      sum.x += part.x, sum.y += part.y, sum.z += part.z, sum.w += part.w;
    }
    float4& to = *reinterpret_cast<float4*>(member + static_cast<int64_t>(first_out + row) * s.in +
                                            first_in + column);
    float4 old = to;
    old.x += s.factor * sum.x, old.y += s.factor * sum.y, old.z += s.factor * sum.z;
    old.w += s.factor * sum.w;
    to = old;
  }
}

__global__ void __launch_bounds__(GradientTile::threads)
    sum_rows(Sums s, const __grid_constant__ RowMaps maps) {
  using C = GradientTile;
  extern __shared__ unsigned char shared[];
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const Ring<C> ring{base, base + C::barriers_at};
  const groups::cluster_group cluster = groups::this_cluster();
  const int part = static_cast<int>(cluster.block_rank());
  const int tile = static_cast<int>(blockIdx.x / cluster.num_blocks());
  const int first_out = tile / s.tiles_in * C::out, first_in = tile % s.tiles_in * C::in;
  const int begin = part * s.each;
  const int count = max(0, min(s.each, (s.rows + C::rows - 1) / C::rows - begin));
  const auto load = [&](int i) {
    ring.announce_slice(i);
    const int row = (begin + i) * C::rows, member = static_cast<int>(blockIdx.y);
    copy_box(ring.slice(i), maps.dy, ring.full(i), first_out, row, 0, member);
#pragma unroll
    for (int panel = 0; panel < 2; ++panel)
      copy_box(ring.slice(i) + (1 + panel) * C::panel_bytes, maps.x, ring.full(i),
               first_in + panel * panel_columns, row, 0, member);
  };
  if (threadIdx.x == 0) {
    ring.start();
    show_barriers();
    for (int i = 0; i < min(C::stages, count); ++i) load(i);
  }
  __syncthreads();
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  float sum[16][4] = {};
  for (int i = 0; i < count; ++i) {
    ring.wait(i);
    const uint64_t dy = describe(ring.slice(i), 0);
    const uint64_t x = describe(ring.slice(i) + C::panel_bytes, C::panel_bytes);
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
  join_cluster(s, own, first_out, first_in);
  cluster.sync();  // nobody reads this block's memory any more
}

int64_t tiles_of(const FewRows& s) {
  using C = GradientTile;
  return static_cast<int64_t>(blocks_for(s.out, C::out)) * blocks_for(s.in, C::in);
}

// Blocks that share a tile: a power of two up to 8, with half of the multiprocessors' number of
// blocks in all and four slices each, where that can be.
int splits_of(const FewRows& s) {
  const int64_t slices = (s.rows + GradientTile::rows - 1) / GradientTile::rows;
  int splits = 1;
  while (splits < 8 && 2 * splits * tiles_of(s) * s.members <= processors() / 2 &&
         4 * 2 * splits <= slices)
    splits *= 2;
  return splits;
}

}  // namespace

bool fits_few_rows(const FewRows& s) {
  return s.members * s.rows <= 64 * processors() &&
         4 * tiles_of(s) * s.members <= processors() / 2 && s.out % 8 == 0 && s.in % 8 == 0;
}

void sum_few_rows(const FewRows& shape, const void* dy, const void* x, float factor,
                  float* gradient, Stream stream) {
  using C = GradientTile;
  const int splits = splits_of(shape);
  const int64_t slices = (shape.rows + C::rows - 1) / C::rows;
  const Sums s{gradient,
               shape.member_stride,
               static_cast<int>(shape.rows),
               static_cast<int>(shape.out),
               static_cast<int>(shape.in),
               static_cast<int>(blocks_for(shape.in, C::in)),
               static_cast<int>((slices + splits - 1) / splits),
               factor};
  const auto rows = [&](const void* base, int64_t columns) {
    return tensor_map({base, columns, shape.rows, 1, shape.members, columns, shape.rows * columns,
                       shape.rows * columns, C::rows});
  };
  cudaFuncSetAttribute(sum_rows, cudaFuncAttributeMaxDynamicSharedMemorySize, C::bytes);
  cudaLaunchAttribute together{};
  together.id = cudaLaunchAttributeClusterDimension;
  together.val.clusterDim = {static_cast<unsigned>(splits), 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim =
      dim3(static_cast<unsigned>(tiles_of(shape) * splits), static_cast<unsigned>(shape.members));
  config.blockDim = C::threads;
  config.dynamicSmemBytes = C::bytes;
  config.stream = stream;
  config.attrs = &together;
  config.numAttrs = 1;
  cudaLaunchKernelEx(&config, sum_rows, s, RowMaps{rows(dy, shape.out), rows(x, shape.in)});
  check_launch();
}

}  // namespace rung::cuda
