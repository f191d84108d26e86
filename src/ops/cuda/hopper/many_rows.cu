// A block has a tile of 128 x 256 outputs and a part of the rows, of which 64 come a stage. Two
// blocks of a cluster have tiles of the same columns: each brings half of b's for both.
#include <algorithm>

#include "ops/cuda/device.h"
#include "ops/cuda/hopper/cluster.cuh"
#include "ops/cuda/hopper/many_rows.h"
#include "ops/cuda/hopper/streamed_rows.cuh"

namespace rung::cuda {
namespace {

constexpr int tile_m = 128, tile_n = 256, stage_rows = 64, cluster = 2;

struct RowTiles {
  static constexpr int panel_bytes = stage_rows * panel_row;
  static constexpr int a_bytes = tile_m / panel_columns * panel_bytes;
  static constexpr int stages = 4, stage_bytes = a_bytes + tile_n / panel_columns * panel_bytes;
  static constexpr int barriers_at = stages * stage_bytes;
  static constexpr int bytes = 1024 + barriers_at + 16 * stages;
  using Ring = StageRing<stages, stage_bytes>;
};

struct RowMaps {
  CUtensorMap a[most_row_sums], b[most_row_sums];
};

// Where each product's tiles begin, in the order of blocks; what a part has of the rows.
struct RowTable {
  int tiles_before[most_row_sums + 1], tiles_m[most_row_sums];
  int stages, each;  // of all rows; of a part, but for the last
};

struct OwnTile {
  int product, m, n;
};
__device__ inline OwnTile tile_at(const RowTable& table, int at) {
  int product = 0;
  while (at >= table.tiles_before[product + 1]) ++product;
  const int tile = at - table.tiles_before[product], tiles_m = table.tiles_m[product];
  return {product, tile % tiles_m * tile_m, tile / tiles_m * tile_n};
}

__device__ inline int cluster_rank() {
  uint32_t rank = 0;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return static_cast<int>(rank);
}

// copy_box to the same place of both blocks.
__device__ inline void copy_box_to_both(uint32_t to, const CUtensorMap& map, uint32_t barrier,
                                        int column, int row, int member) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::"
      "cluster [%0], [%1, {%3, %4, %5, %6}], [%2], %7;" ::"r"(to),
      "l"(reinterpret_cast<uint64_t>(&map)), "r"(barrier), "r"(column), "r"(row), "r"(0),
      "r"(member), "h"(static_cast<uint16_t>(3))
      : "memory");
}

// By whole warps: this one is done with the stage in both blocks' eyes.
__device__ inline void done_for_both(const RowTiles::Ring& ring, int lane) {
  if (lane < cluster)
    asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(of_block(ring.empty(), lane))
                 : "memory");
}

__device__ void bring_rows(RowTiles::Ring ring, const CUtensorMap& a, const CUtensorMap& b, int m,
                           int n, int begin, int count) {
  using C = RowTiles;
  const int member = static_cast<int>(blockIdx.z), rank = cluster_rank();
  for (int i = 0; i < count; ++i, ring.next()) {
    const int row = (begin + i) * stage_rows;
    ring.wait_empty();
    announce(ring.full(), C::stage_bytes);
#pragma unroll
    for (int panel = 0; panel < tile_m / panel_columns; ++panel)
      copy_box(ring.at() + panel * C::panel_bytes, a, ring.full(), m + panel * panel_columns, row,
               0, member);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int panel = 2 * rank + i;
      copy_box_to_both(ring.at() + C::a_bytes + panel * C::panel_bytes, b, ring.full(),
                       n + panel * panel_columns, row, member);
    }
  }
}

__device__ void add_rows(float (&sum)[32][4], RowTiles::Ring ring, int count, int group, int lane) {
  using C = RowTiles;
  RowTiles::Ring before = ring;
  for (int i = 0; i < count; ++i) {
    ring.wait();
    const uint64_t a = describe(ring.at() + group * C::panel_bytes, 0),
                   b = describe(ring.at() + C::a_bytes, C::panel_bytes);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < stage_rows / 16; ++k)
      multiply_add_turned(sum, moved(a, k * 16 * panel_row), moved(b, k * 16 * panel_row));
    wgmma_commit();
    wgmma_wait<1>();
    if (i > 0) done_for_both(before, lane);
    before = ring;
    ring.next();
  }
  wgmma_wait<0>();
  pin(sum);
}

// space [parts, members, tiles, tile_m, tile_n]
__global__ void __launch_bounds__(streamed_threads, 1)
    sum_parts(const __grid_constant__ RowTable table, float* space,
              const __grid_constant__ RowMaps maps) {
  using C = RowTiles;
  extern __shared__ unsigned char shared[];
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const C::Ring ring{base, base + C::barriers_at};
  const OwnTile tile = tile_at(table, static_cast<int>(blockIdx.x));
  const int begin = static_cast<int>(blockIdx.y) * table.each,
            count = min(table.each, table.stages - begin);
  if (threadIdx.x == streamed_workers) {
    for (int i = 0; i < C::stages; ++i) {
      start_barrier(ring.barriers + 8 * i, 1);
      start_barrier(ring.barriers + 8 * (C::stages + i), streamed_users * cluster);
    }
    show_barriers();
  }
  synchronise_blocks();
  // Nobody leaves whose memory the other may still write to, and before the sums are written, for
  // the wait would be for them too.
  if (threadIdx.x >= streamed_workers) {
    keep_few_registers();
    if (threadIdx.x == streamed_workers)
      bring_rows(ring, maps.a[tile.product], maps.b[tile.product], tile.m, tile.n, begin, count);
    __syncwarp();
    synchronise_blocks();
    return;
  }
  take_registers();
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  float sum[32][4] = {};
  add_rows(sum, ring, count, warp / 4, lane);
  synchronise_blocks();
  const int64_t at =
      static_cast<int64_t>(blockIdx.y * gridDim.z + blockIdx.z) * gridDim.x + blockIdx.x;
  float* const own = space + at * (tile_m * tile_n);
#pragma unroll
  for (int r = 0; r < 2; ++r)
#pragma unroll
    for (int i = 0; i < 32; ++i)
      *reinterpret_cast<float2*>(own + (16 * warp + lane / 4 + 8 * r) * tile_n + 8 * i +
                                 lane % 4 * 2) = make_float2(sum[i][2 * r], sum[i][2 * r + 1]);
}

struct RowOutputs {
  int m[most_row_sums], n[most_row_sums];
  float alpha[most_row_sums];
  bool accumulates[most_row_sums];
  float* out[most_row_sums];
  int64_t stride[most_row_sums];
};

// The parts' sums, in order; four numbers a thread.
__global__ void __launch_bounds__(256)
    join_parts(const __grid_constant__ RowTable table, const __grid_constant__ RowOutputs to,
               const float* space, int parts, int64_t apart) {
  constexpr int pieces = tile_m * tile_n / 4, blocks = pieces / 256;
  const int at = static_cast<int>(blockIdx.x) / blocks;
  const OwnTile tile = tile_at(table, at);
  const int piece = static_cast<int>(blockIdx.x) % blocks * 256 + static_cast<int>(threadIdx.x);
  const int row = tile.m + piece / (tile_n / 4), column = tile.n + piece % (tile_n / 4) * 4;
  if (row >= to.m[tile.product] || column >= to.n[tile.product]) return;
  const int tiles = static_cast<int>(gridDim.x) / blocks;
  const float* const own =
      space + (static_cast<int64_t>(blockIdx.y) * tiles + at) * (tile_m * tile_n) + 4 * piece;
  float sum[4] = {};
#pragma unroll 8
  for (int part = 0; part < parts; ++part) {
    float more[4];
    load4(own + part * apart, more);
#pragma unroll
    for (int k = 0; k < 4; ++k) sum[k] += more[k];
  }
  float* const out = to.out[tile.product] + blockIdx.y * to.stride[tile.product] +
                     static_cast<int64_t>(row) * to.n[tile.product] + column;
  float old[4] = {};
  if (to.accumulates[tile.product]) load4(out, old);
#pragma unroll
  for (int k = 0; k < 4; ++k) sum[k] = to.alpha[tile.product] * sum[k] + old[k];
  store4(out, sum);
}

struct RowPlan {
  RowTable table;
  int tiles, parts;
};
RowPlan plan_of(const RowSums& p) {
  RowPlan plan{};
  for (int i = 0; i < p.count; ++i) {
    const int own = static_cast<int>(blocks_for(p.sums[i].out, tile_m) + cluster - 1) / cluster;
    plan.table.tiles_m[i] = own * cluster;
    plan.tiles += own * cluster * static_cast<int>(blocks_for(p.sums[i].in, tile_n));
    plan.table.tiles_before[i + 1] = plan.tiles;
  }
  for (int i = p.count; i < most_row_sums; ++i) plan.table.tiles_before[i + 1] = plan.tiles;
  plan.table.stages = static_cast<int>(blocks_for(p.rows, stage_rows));
  const int wanted =
      std::clamp(static_cast<int>(processors() / (plan.tiles * p.members)), 1, plan.table.stages);
  plan.table.each = (plan.table.stages + wanted - 1) / wanted;
  plan.parts = (plan.table.stages + plan.table.each - 1) / plan.table.each;
  return plan;
}

}  // namespace

bool fits_many_row_sums(const RowSums& p) {
  constexpr int64_t fewest_rows = 8192;
  if (p.count < 2 || p.rows < fewest_rows) return false;
  for (int i = 0; i < p.count; ++i)
    if (p.sums[i].out < tile_m || p.sums[i].in < tile_n) return false;
  return 2 * plan_of(p).tiles * p.members <= processors();
}

int64_t many_row_sums_space(const RowSums& p) {
  const RowPlan plan = plan_of(p);
  return plan.parts * p.members * plan.tiles * int64_t{tile_m * tile_n};
}

void add_many_row_sums(const RowSums& p, float* space, Stream stream) {
  using C = RowTiles;
  const RowPlan plan = plan_of(p);
  RowMaps maps{};
  RowOutputs to{};
  const auto map = [&](const void* base, int64_t columns) {
    return tensor_map({base, columns, p.rows, 1, p.members, columns, p.rows * columns,
                       p.rows * columns, stage_rows});
  };
  for (int i = 0; i < p.count; ++i) {
    const RowSum& one = p.sums[i];
    maps.a[i] = map(one.dy, one.out), maps.b[i] = map(one.x, one.in);
    to.m[i] = static_cast<int>(one.out), to.n[i] = static_cast<int>(one.in);
    to.alpha[i] = one.factor, to.accumulates[i] = one.adds;
    to.out[i] = one.gradient, to.stride[i] = one.member_stride;
  }
  cudaFuncSetAttribute(sum_parts, cudaFuncAttributeMaxDynamicSharedMemorySize, C::bytes);
  const auto members = static_cast<unsigned>(p.members), tiles = static_cast<unsigned>(plan.tiles);
  launch_clusters(sum_parts, dim3(tiles, static_cast<unsigned>(plan.parts), members),
                  streamed_threads, C::bytes, cluster, stream, plan.table, space, maps);
  check_launch();
  join_parts<<<dim3(tiles * (tile_m * tile_n / 1024), members), 256, 0, stream>>>(
      plan.table, to, space, plan.parts, int64_t{members} * tiles * (tile_m * tile_n));
  check_launch();
}

}  // namespace rung::cuda
