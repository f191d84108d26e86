// What both ways of wide_norm_linear (many rows, few rows) share.
#pragma once
#include "ops/cuda/hopper/slice_ring.cuh"
#include "ops/cuda/hopper/wide_rows.cuh"
#include "ops/cuda/norm_linear.h"

namespace rung::cuda {

struct NormLinearArgs {
  const bf16 *x, *matrix, *dy, *dh;
  bf16 *y, *unit;
  StreamBack stream;
  int64_t stride;
  int rows, out;
  float epsilon, factor;
};

inline NormLinearArgs norm_linear_args(const NormLinearShape& shape, const void* x,
                                       const void* matrix) {
  NormLinearArgs s{};
  s.x = static_cast<const bf16*>(x);
  s.matrix = static_cast<const bf16*>(matrix);
  s.stride = shape.stride;
  s.rows = static_cast<int>(shape.rows);
  s.out = static_cast<int>(shape.out);
  s.epsilon = shape.epsilon;
  return s;
}

// Tensors as the copies want them: C::own rows, and C::slice rows of the matrix, a box.
struct NormMaps {
  CUtensorMap x, dh, matrix, dy;
};
template <class C>
NormMaps norm_maps(const NormLinearShape& s, const NormLinearArgs& a) {
  const auto rows = [&](const void* base, int64_t columns) {
    return tensor_map(
        {base, columns, s.rows, 1, s.members, columns, s.rows * columns, s.rows * columns, C::own});
  };
  NormMaps maps{};
  maps.x = rows(a.x, wide_row);
  if (a.dh) maps.dh = rows(a.dh, wide_row);
  if (a.dy) maps.dy = rows(a.dy, s.out);
  maps.matrix = tensor_map(
      {a.matrix, wide_row, s.out, 1, s.members, wide_row, s.out * wide_row, s.stride, C::slice});
  return maps;
}

// Rows of 128 columns from row `begin` on as two panels `apart` bytes apart.
__device__ inline void copy_panels(uint32_t to, const CUtensorMap& map, uint32_t barrier, int begin,
                                   int apart) {
#pragma unroll
  for (int panel = 0; panel < 2; ++panel)
    copy_box(to + panel * apart, map, barrier, panel * panel_columns, begin, 0,
             static_cast<int>(blockIdx.y));
}

// By one thread: the block's rows are on their way, with those of dh behind them unless it
// is null, and the first of `slices` slices, which `load` brings.
template <class C, class Load>
__device__ inline void begin_norm_linear(const Ring<C>& ring, const NormMaps& maps, uint32_t base,
                                         uint32_t rows_came, int begin, const bf16* dh, int slices,
                                         const Load& load) {
  ring.start();
  start_barrier(rows_came, 1);
  show_barriers();
  announce(rows_came, dh ? 2 * C::rows_bytes : C::rows_bytes);
  copy_panels(base, maps.x, rows_came, begin, C::rows_bytes / 2);
  if (dh) copy_panels(base + C::rows_bytes, maps.dh, rows_came, begin, C::rows_bytes / 2);
  for (int i = 0; i < min(C::stages, slices); ++i) load(i);
}

// The forward pass where `spreads` holds of the rows (shared_rows.cuh).
void few_norm_linear_forward(const NormLinearShape& shape, const NormLinearArgs& args,
                             Stream stream);

}  // namespace rung::cuda
