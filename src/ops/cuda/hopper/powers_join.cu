// A warp for every row of powers, and for every few pieces of dx.
#include "ops/cuda/hopper/powers_rows.cuh"

namespace rung::cuda {
namespace {

constexpr int join_warps = 8;

__global__ void __launch_bounds__(32 * join_warps) join(const PowersJoinRows s) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * join_warps + threadIdx.x / 32;
  if (row >= s.rows) return;
  const float total = s.total(blockIdx.y, row);
  if (!out_of_range(total))
    finish_powers_row(s, blockIdx.y, row, total, s.hits[blockIdx.y * s.rows + row],
                      static_cast<int>(threadIdx.x % 32));
}

__global__ void scale_rows(uint32_t rows, uint32_t pieces, int64_t row_stride, const float* factors,
                           bf16* dx) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= rows * pieces) return;
  const int64_t member = blockIdx.y;
  const float factor = factors[member * rows + i / pieces];
  bf16* const at = dx + member * row_stride + 8 * static_cast<int64_t>(i);
  float v[8];
  load8(at, v);
#pragma unroll
  for (int k = 0; k < 8; ++k) v[k] *= factor;
  store8(at, v);
}

}  // namespace

void powers_join(const PowersLoss& shape, const PowersSums& from, const PowersJoin& to,
                 Stream stream) {
  const PowersJoinRows s{shape.rows,
                         shape.vocabulary,
                         shape.width,
                         shape.row_stride,
                         shape.weight_stride,
                         shape.target_stride,
                         shape.loss_stride,
                         shape.parts,
                         shape.forward * powers_to_base_2,
                         to.factor,
                         static_cast<const bf16*>(from.x),
                         static_cast<const bf16*>(from.weight),
                         from.targets,
                         from.totals,
                         from.hits,
                         to.loss,
                         to.scale,
                         static_cast<bf16*>(from.q),
                         static_cast<bf16*>(to.share)};
  const dim3 grid(blocks_for(shape.rows, join_warps), static_cast<unsigned>(shape.members));
  join<<<grid, 32 * join_warps, 0, stream>>>(s);
  check_launch();
  powers_repair(s, shape.members, stream);
}

void powers_scale(const PowersLoss& shape, const float* scale, void* dx, Stream stream) {
  const int64_t pieces = shape.width / 8;
  const dim3 grid(blocks_for(shape.rows * pieces, 256), static_cast<unsigned>(shape.members));
  scale_rows<<<grid, 256, 0, stream>>>(static_cast<uint32_t>(shape.rows),
                                       static_cast<uint32_t>(pieces), shape.row_stride, scale,
                                       static_cast<bf16*>(dx));
  check_launch();
}

}  // namespace rung::cuda
