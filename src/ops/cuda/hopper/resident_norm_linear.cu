// RMSNorm and the map behind it: a warpgroup's 64 rows are normalised in registers; the next ones
// come and the last outputs leave by bulk copies meanwhile.
#include <algorithm>

#include "ops/cuda/hopper/resident_norm_linear.h"
#include "ops/cuda/hopper/resident_rows.cuh"
#include "ops/cuda/hopper/wide_rows.cuh"

namespace rung::cuda {
namespace {

constexpr int groups = 4, threads = 128 * groups;
constexpr int most_out = 192, out_panels = most_out / panel_columns;
// The matrix; x of two tiles a warpgroup; a tile of outputs a warpgroup.
constexpr int rows_at = most_out * panel_row;
constexpr int outputs_at = rows_at + groups * 2 * tile_bytes;
constexpr int barriers_at = outputs_at + groups * out_panels * tile_bytes;
constexpr int bytes = 1024 + barriers_at + 8 * (1 + 2 * groups);
static_assert(bytes <= 227 * 1024);

struct Args {
  int rows, panels;
  float epsilon, factor;
};
struct Maps {
  CUtensorMap matrix, x, y;
};

// A warpgroup's place among rows and outputs in shared memory.
struct Place {
  uint32_t base;
  int group;
  __device__ uint32_t x(int i) const { return rows_at + (2 * group + i % 2) * tile_bytes; }
  __device__ uint32_t came(int i) const { return base + barriers_at + 8 * (1 + 2 * group + i % 2); }
  __device__ uint32_t outputs() const { return outputs_at + group * out_panels * tile_bytes; }
  __device__ void load(int i, int tile, const Maps& maps) const {
    announce(came(i), tile_bytes);
    copy_box(base + x(i), maps.x, came(i), 0, tile * own_rows, 0, static_cast<int>(blockIdx.y));
  }
  __device__ void meet() const { meet_group(1 + group); }
};

// The warp's rows as A operands, normalised but for the factor a row that is returned.
__device__ inline float2 read_unit(Quad (&a)[4], const unsigned char* x, const Pairs& pairs,
                                   float epsilon) {
  float squares[2] = {};
#pragma unroll
  for (int k = 0; k < 4; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      a[k][i] = *reinterpret_cast<const uint32_t*>(x + pairs.at(k, i));
      const float2 h = unpack2(a[k][i]);
      squares[i % 2] += h.x * h.x + h.y * h.y;
    }
  return {rsqrtf(group_sum<4>(squares[0]) / resident_width + epsilon),
          rsqrtf(group_sum<4>(squares[1]) / resident_width + epsilon)};
}

// sum = the rows times the transpose of 64 rows of the matrix.
__device__ inline void multiply_panel(float (&sum)[8][4], Quad (&a)[4], uint64_t matrix) {
  wgmma_fence();
  multiply<0>(sum, a[0], matrix);
#pragma unroll
  for (int k = 1; k < 4; ++k) multiply_add<0>(sum, a[k], moved(matrix, k * 32));
  wgmma_commit();
  wgmma_wait<0>();
  pin(sum);
  pin(a);
}

// A warp's 16 rows of a panel of outputs.
__device__ inline void put_panel(const float (&sum)[8][4], const float2& factor, uint32_t to,
                                 int warp, int lane) {
#pragma unroll
  for (int n = 0; n < 8; n += 2) {
    const Quad pairs = {pack2(factor.x * sum[n][0], factor.x * sum[n][1]),
                        pack2(factor.y * sum[n][2], factor.y * sum[n][3]),
                        pack2(factor.x * sum[n + 1][0], factor.x * sum[n + 1][1]),
                        pack2(factor.y * sum[n + 1][2], factor.y * sum[n + 1][3])};
    store_matrices(to + piece_at(own_rows, 16 * warp + lane % 16, n + lane / 16), pairs);
  }
}

__global__ void __launch_bounds__(threads, 1) forward(Args s, const __grid_constant__ Maps maps) {
  extern __shared__ unsigned char shared[];
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const Place at{base, warp / 4};
  const Pairs pairs(16 * (warp % 4), lane);
  const bool leads = threadIdx.x % 128 == 0;
  const int all = (s.rows + own_rows - 1) / own_rows,
            own = static_cast<int>(blockIdx.x) * groups + at.group,
            apart = static_cast<int>(gridDim.x) * groups, member = static_cast<int>(blockIdx.y);
  const uint32_t matrix_came = base + barriers_at;
  if (threadIdx.x == 0) {
    for (int i = 0; i < 1 + 2 * groups; ++i) start_barrier(matrix_came + 8 * i, 1);
    show_barriers();
    announce(matrix_came, most_out * panel_row);
    copy_box(base, maps.matrix, matrix_came, 0, 0, 0, member);
  }
  __syncthreads();
  if (leads)
    for (int i = 0; i < 2; ++i)
      if (own + i * apart < all) at.load(i, own + i * apart, maps);
  wait_barrier(matrix_came, 0);
  Quad a[4];
  for (int i = 0, tile = own; tile < all; ++i, tile += apart) {
    wait_barrier(at.came(i), i / 2 % 2);
    float2 factor = read_unit(a, shared + (base - start) + at.x(i), pairs, s.epsilon);
    factor.x *= s.factor, factor.y *= s.factor;
    if (leads) wait_writes();  // of the tile before
    at.meet();                 // rows have been read, and the outputs' place is free
    if (leads && tile + 2 * apart < all) at.load(i, tile + 2 * apart, maps);
#pragma unroll 1
    for (int panel = 0; panel < s.panels; ++panel) {
      float sum[8][4];
      multiply_panel(sum, a, describe(base + panel * tile_bytes, 0));
      put_panel(sum, factor, base + at.outputs() + panel * tile_bytes, warp % 4, lane);
    }
    show_copies();
    at.meet();
    if (leads) {
      for (int panel = 0; panel < s.panels; ++panel)
        write_box(maps.y, base + at.outputs() + panel * tile_bytes, panel * panel_columns,
                  tile * own_rows, 0, member);
      commit_writes();
    }
    __syncwarp();
  }
  if (leads) wait_writes();
}

}  // namespace

bool fits_resident_norm_linear(const NormLinearShape& shape) {
  return shape.width == resident_width && shape.out > 128 && shape.out <= most_out &&
         has_many_rows(shape.members, shape.rows);
}

void resident_norm_linear_forward(const NormLinearShape& shape, const void* x, const void* matrix,
                                  float factor, void* y, Stream stream) {
  constexpr int width = resident_width;
  const int64_t out = shape.out, rows = shape.rows, members = shape.members;
  const Args s{static_cast<int>(rows), static_cast<int>(blocks_for(out, panel_columns)),
               shape.epsilon, factor};
  const Maps maps{
      tensor_map({matrix, width, out, 1, members, width, out * width, shape.stride, most_out}),
      tensor_map({x, width, rows, 1, members, width, rows * width, rows * width, own_rows}),
      tensor_map({y, out, rows, 1, members, out, rows * out, rows * out, own_rows})};
  allow_shared(forward, bytes);
  const int64_t wanted = blocks_for(rows, own_rows * groups),
                most = std::max<int64_t>(1, processors() / members);
  const dim3 grid(static_cast<unsigned>(std::min(wanted, most)), static_cast<unsigned>(members));
  forward<<<grid, threads, bytes, stream>>>(s, maps);
  check_launch();
}

}  // namespace rung::cuda
