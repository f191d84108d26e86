// The gradient through the map and the norm before it: each of three warpgroups keeps 64 rows of
// the matrix's gradient in registers while the block's rows pass by.
#include "ops/cuda/hopper/resident_back.cuh"
#include "ops/cuda/hopper/resident_norm_linear.h"

namespace rung::cuda {
namespace {

constexpr int most_out = 64 * back_groups, stages = 3;
// The matrix; x, the gradient around it and dy's panels of three tiles; gradients of rows; their
// norms' factors.
constexpr int rows_at = most_out * panel_row;
constexpr int stage_bytes = (2 + back_groups) * back_tile_bytes;
constexpr int back_at = rows_at + stages * stage_bytes, rstd_at = back_at + back_tile_bytes;
constexpr int barriers_at = rstd_at + back_tile * 4;
constexpr int bytes = 1024 + barriers_at + 8 * (1 + stages);
static_assert(bytes <= 227 * 1024);

struct Back {
  StreamBack stream;
  float* partial;
  int rows, per_block, out;
  float epsilon;
  bool around;
};
struct BackMaps {
  CUtensorMap matrix, x, around, dy;
};

__device__ inline uint32_t x_at(int tile) {
  return rows_at + tile % stages * stage_bytes;
}
__device__ inline uint32_t dy_at(int tile) {
  return x_at(tile) + 2 * back_tile_bytes;
}
__device__ inline uint32_t came(int tile) {
  return barriers_at + 8 * (1 + tile % stages);
}

__device__ inline void load_tile(uint32_t base, const Back& s, const BackMaps& maps, int tile,
                                 int row) {
  const int member = static_cast<int>(blockIdx.y);
  const uint32_t barrier = base + came(tile);
  announce(barrier, (1 + back_groups + (s.around ? 1 : 0)) * back_tile_bytes);
  copy_box(base + x_at(tile), maps.x, barrier, 0, row, 0, member);
#pragma unroll
  for (int panel = 0; panel < back_groups; ++panel)
    copy_box(base + dy_at(tile) + panel * back_tile_bytes, maps.dy, barrier, panel * panel_columns,
             row, 0, member);
  if (s.around)
    copy_box(base + x_at(tile) + back_tile_bytes, maps.around, barrier, 0, row, 0, member);
}

// Starts the gradient of the warpgroup's normalised rows and behind it, of the tile's rows, that of
// its 64 rows of the matrix; waits for the first.
__device__ inline void multiply_tile(float (&du)[4][4], float (&sum)[8][4], const BackGroup& at,
                                     int tile) {
  const uint64_t matrix = describe(at.base, 0),
                 dy = describe(at.base + dy_at(tile) + at.group * back_own_bytes, 0);
  wgmma_fence();
  multiply_turned<0>(du, matrix, dy);
#pragma unroll
  for (int k = 1; k < most_out / 16; ++k)
    multiply_add_turned<0>(du, moved(matrix, k * 16 * panel_row),
                           moved(dy, k / 4 * back_tile_bytes + k % 4 * 32));
  wgmma_commit();
  const uint64_t x = describe(at.base + x_at(tile), 0),
                 own = describe(at.base + dy_at(tile) + at.group * back_tile_bytes, 0);
#pragma unroll
  for (int k = 0; k < back_tile / 16; ++k)
    multiply_add_turned(sum, moved(own, k * 16 * panel_row), moved(x, k * 16 * panel_row));
  wgmma_commit();
  wgmma_wait<1>();
  pin(du);
}

// The block's sums of the matrix's gradient: [out, width].
__device__ inline void write_sums(const float (&sum)[8][4], const BackGroup& at, const Back& s) {
  const int lane = at.lane();
  const int64_t index = static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x;
  float* const to = s.partial + index * s.out * resident_width;
#pragma unroll
  for (int n = 0; n < 8; ++n)
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int row = 64 * at.group + 16 * at.warp + lane / 4 + 8 * r;
      if (row < s.out)
        *reinterpret_cast<float2*>(to + row * resident_width + 8 * n + lane % 4 * 2) =
            make_float2(sum[n][2 * r], sum[n][2 * r + 1]);
    }
}

__global__ void __launch_bounds__(back_threads, 1)
    backward(Back s, const __grid_constant__ BackMaps maps) {
  extern __shared__ unsigned char shared[];
  const BackGroup at = back_group(shared);
  float* const rstd = reinterpret_cast<float*>(at.shared + rstd_at);
  const int begin = static_cast<int>(blockIdx.x) * s.per_block,
            end = min(begin + s.per_block, s.rows),
            tiles = (end - begin + back_tile - 1) / back_tile;
  const int64_t member = static_cast<int64_t>(blockIdx.y) * s.rows * resident_width;
  if (threadIdx.x == 0) {
    for (int i = 0; i < 1 + stages; ++i) start_barrier(at.base + barriers_at + 8 * i, 1);
    show_barriers();
    announce(at.base + barriers_at, most_out * panel_row);
    copy_box(at.base, maps.matrix, at.base + barriers_at, 0, 0, 0, static_cast<int>(blockIdx.y));
    for (int tile = 0; tile < min(tiles, stages - 1); ++tile)
      load_tile(at.base, s, maps, tile, begin + tile * back_tile);
  }
  __syncthreads();
  float sum[8][4] = {};
  wait_barrier(at.base + barriers_at, 0);
#pragma unroll 1
  for (int tile = 0; tile < tiles; ++tile) {
    const int row = begin + tile * back_tile, next = tile + stages - 1;
    wait_barrier(at.base + came(tile), tile / stages % 2);
    normalise_own(at, x_at(tile), rstd, s.epsilon);
    show_copies();
    __syncthreads();  // rows are normalised, and all are done with the tile before
    if (threadIdx.x == 0 && next < tiles)
      load_tile(at.base, s, maps, next, begin + next * back_tile);
    float du[4][4];
    multiply_tile(du, sum, at, tile);
    put_turned(at, back_at, du, 1.0f);
    const StreamTiles rows{back_at, x_at(tile), x_at(tile) + back_tile_bytes, s.around, rstd};
    write_stream(at, s.stream, rows, false, member, row, end);
    wgmma_wait<0>();
    pin(sum);
  }
  if (s.partial) write_sums(sum, at, s);
}

}  // namespace

void resident_norm_linear_backward(const NormLinearShape& shape, const void* x, const void* matrix,
                                   const NormLinearGradient& g, Stream stream) {
  constexpr int width = resident_width;
  const int64_t out = shape.out, rows = shape.rows, members = shape.members,
                blocks = norm_linear_blocks(shape);
  const Back s{.stream = {.dx = static_cast<bf16*>(g.dx),
                          .df = nullptr,
                          .dinput = g.input_factor,
                          .around_factor = 1.0f,
                          .skip = 1.0f,
                          .branch = 1.0f},
               .partial = g.dmatrix ? g.partial : nullptr,
               .rows = static_cast<int>(rows),
               .per_block = back_rows_each(rows, blocks),
               .out = static_cast<int>(out),
               .epsilon = shape.epsilon,
               .around = g.dh != nullptr};
  BackMaps maps{};
  maps.matrix =
      tensor_map({matrix, width, out, 1, members, width, out * width, shape.stride, most_out});
  maps.x = back_rows(x, members, rows);
  if (g.dh) maps.around = back_rows(g.dh, members, rows);
  maps.dy = tensor_map({g.dy, out, rows, 1, members, out, rows * out, rows * out, back_tile});
  allow_shared(backward, bytes);
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(members));
  backward<<<grid, back_threads, bytes, stream>>>(s, maps);
  check_launch();
}

}  // namespace rung::cuda
