// The end of sliced_mlp's backward pass: from the sums of the rows' gradient to those of the stream
// and of what the map multiplied.
#pragma once
#include "ops/cuda/hopper/sliced_mlp.cuh"
#include "ops/cuda/hopper/sliced_sums.cuh"

namespace rung::cuda {

// What goes through the map that f came through.
struct MapBack {
  bf16* to;  // null: there is none
  float factor;
};

// The products of 64 rows of df in shared memory with a panel of the map's columns, at `map`, to
// `to`, by a warpgroup.
template <class C>
__device__ void map_panel_back(uint32_t df, uint32_t map, float factor, bf16* to, int begin,
                               int end, int first_row, int lane) {
  const uint64_t own = describe(df, 0), lines = describe(map, 0);
  float sum[8][4];
  wgmma_fence();
#pragma unroll
  for (int k = 0; k < wide_row / 16; ++k) {
    const uint64_t a = moved(own, k / 4 * C::own * panel_row + k % 4 * 32);
    const uint64_t b = moved(lines, k * 16 * panel_row);
    if (k == 0)
      multiply<1>(sum, a, b);
    else
      multiply_add<1>(sum, a, b);
  }
  wgmma_commit();
  wgmma_wait<0>();
  pin(sum);
  Quad y[4];
#pragma unroll
  for (int k = 0; k < 4; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i)
      y[k][i] =
          pack2(factor * sum[2 * k + i / 2][i % 2 * 2], factor * sum[2 * k + i / 2][i % 2 * 2 + 1]);
  write_columns(y, to, wide_row, begin + first_row, end, panel_columns, lane);
}

// Where a panel of the map lies, which came as the ring's slices `behind` and on.
template <class C>
__device__ uint32_t map_panel_of(const Ring<C>& ring, int behind, int panel) {
  if (C::map_stages == 1) return ring.slice(behind) + panel * wide_row * panel_row;
  return ring.slice(behind + panel);
}

// Rows of `to` in shared memory become the products of the warpgroup's rows of df, another place
// there, with the map's columns, whose two panels came as slices `slices` and on.
template <class C>
__device__ void map_back(const Ring<C>& ring, int slices, uint32_t df, float factor,
                         unsigned char* to, int group, int first_row, int lane) {
  show_copies();  // the rows have been written by ordinary stores
  meet_group(4 + group);
  const uint64_t own = describe(df + first_row / 64 * 64 * panel_row, 0);
  float sum[2][8][4];
#pragma unroll
  for (int panel = 0; panel < 2; ++panel) {
    if (panel < C::map_stages) ring.wait(slices + panel);
    const uint32_t at = C::map_stages == 2 ? ring.slice(slices + panel)
                                           : ring.slice(slices) + panel * wide_row * panel_row;
    const uint64_t lines = describe(at, 0);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < wide_row / 16; ++k) {
      const uint64_t a = moved(own, k / 4 * C::own * panel_row + k % 4 * 32);
      const uint64_t b = moved(lines, k * 16 * panel_row);
      if (k == 0)
        multiply<1>(sum[panel], a, b);
      else
        multiply_add<1>(sum[panel], a, b);
    }
    wgmma_commit();
  }
  wgmma_wait<0>();
  pin(sum[0]);
  pin(sum[1]);
#pragma unroll
  for (int r = 0; r < 2; ++r)
#pragma unroll
    for (int n = 0; n < 16; ++n)
      *reinterpret_cast<uint32_t*>(to + piece_at(C::own, first_row + lane / 4 + 8 * r, n) +
                                   lane % 4 * 4) =
          pack2(factor * sum[n / 8][n % 8][2 * r], factor * sum[n / 8][n % 8][2 * r + 1]);
  __syncwarp();
}

// Of warpgroups that share rows, all threads a piece of them each.
template <class C>
__device__ void finish_shared(const StreamBack& stream, const MapBack& map, const Ring<C>& ring,
                              int behind, const float (&du)[16][4], const BlockRows& rows,
                              int group, int first_row, int lane) {
  __syncthreads();  // nothing is turned, and no slice read, any more
  // The first warpgroup's sums take the places of two slices that nobody has.
  const auto free_slice = [&](int i) {
    return rows.unit + (ring.slice(behind + C::map_stages + i) - rows.base);
  };
  unsigned char* const sums = rows.unit + C::sums_at;
  const SumPlaces places[3] = {{free_slice(0), free_slice(1)},
                               {sums, sums + half_sums},
                               {sums + 2 * half_sums, sums + 3 * half_sums}};
  const bool first = group == 0;  // one by one: an array that is picked from would lie in memory
  unsigned char* const others = sums + (first ? 0 : 2 * (group - 1) * half_sums);
  put_sums({first ? free_slice(0) : others, first ? free_slice(1) : others + half_sums}, du,
           first_row, lane);
  __syncthreads();
  finish_pieces<C>(stream, places, rows);
  if (!map.to) return;
  show_copies();
  __syncthreads();
  if (group > 1) return;
  ring.wait(behind + (C::map_stages == 1 ? 0 : group));
  map_panel_back<C>(stream.df ? rows.base : rows.base + C::rows_bytes,
                    map_panel_of<C>(ring, behind, group), map.factor,
                    map.to + rows.member + group * panel_columns, rows.begin, rows.end, first_row,
                    lane);
}

// Of a warpgroup with rows of its own.
template <class C>
__device__ void finish_own(const StreamBack& stream, const MapBack& map, const Ring<C>& ring,
                           int behind, float (&du)[16][4], const BlockRows& rows, int group,
                           int first_row, int lane) {
  finish_rows<C>(stream, du, rows.unit, rows.dout, rows.rstd, first_row, lane);
  __syncwarp();
  const auto write = [&](const unsigned char* from, bf16* to) {
    write_own<C>(from, to + rows.member, first_row, rows.begin, rows.end, lane);
  };
  write(rows.dout, stream.dx);
  if (stream.df) write(rows.unit, stream.df);
  if (!map.to) return;
  unsigned char* const to = stream.df ? rows.dout : rows.unit;
  map_back<C>(ring, behind, stream.df ? rows.base : rows.base + C::rows_bytes, map.factor, to,
              group, first_row, lane);
  write(to, map.to);
}

}  // namespace rung::cuda
