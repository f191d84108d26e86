// A member's matrices of the ffn of width 64 as they lie in shared memory: the first's parts one
// behind the other, `padded` hidden units each, the second's panels of 64 units, the map.
#pragma once
#include "ops/cuda/hopper/resident_mlp.h"
#include "ops/cuda/hopper/resident_rows.cuh"

namespace rung::cuda {
namespace {

struct MatrixMaps {
  CUtensorMap first, second, map;
};

// `map` may be null.
inline MatrixMaps matrix_maps(const MlpShape& s, int parts, int padded, const void* first,
                              const void* second, const void* map, int64_t map_stride) {
  constexpr int width = resident_width;
  MatrixMaps maps{tensor_map({first, width, s.inner, parts, s.members, width, s.inner * width,
                              s.first_stride, padded}),
                  tensor_map({second, s.inner, width, 1, s.members, s.inner, s.inner * width,
                              s.second_stride, width}),
                  {}};
  if (map)
    maps.map =
        tensor_map({map, width, width, 1, s.members, width, width * width, map_stride, width});
  return maps;
}

// Starts their copies, of the block's member, for `barrier` to tell of; by one thread.
template <class C>
__device__ inline void load_resident(uint32_t base, uint32_t barrier, const MatrixMaps& maps,
                                     int padded, bool mapped) {
  const int member = static_cast<int>(blockIdx.y);
  const int panels = (padded + panel_columns - 1) / panel_columns;
  announce(barrier, C::parts * padded * panel_row + (panels + (mapped ? 1 : 0)) * tile_bytes);
#pragma unroll
  for (int part = 0; part < C::parts; ++part)
    copy_box(base + part * padded * panel_row, maps.first, barrier, 0, 0, part, member);
  for (int panel = 0; panel < panels; ++panel)
    copy_box(base + C::second_at + panel * tile_bytes, maps.second, barrier, panel * panel_columns,
             0, 0, member);
  if (mapped) copy_box(base + C::map_at, maps.map, barrier, 0, 0, 0, member);
}

}  // namespace
}  // namespace rung::cuda
