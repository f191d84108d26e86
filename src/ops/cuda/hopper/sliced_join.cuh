// The end of sliced_mlp's forward pass where two blocks share rows: what their six warpgroups have
// summed is added up, each block having half of the rows.
#pragma once
#include "ops/cuda/hopper/sliced_next.cuh"
#include "ops/cuda/hopper/sliced_sums.cuh"

namespace rung::cuda {

// Where sums lie: in the place of slices that have been read, but for the last warpgroup's first
// half and what the other block has for this one, which are in the place of the map.
template <class C>
struct JoinPlaces {
  unsigned char* base;
  static_assert(C::groups == 3 && C::own == 2 * half_rows && 2 * half_sums <= C::map_bytes);
  __device__ unsigned char* received() const { return base + C::map_at; }
  __device__ SumPlaces of(int group) const {
    unsigned char* const ring = base + C::ring_at;
    if (group == 2) return {base + C::map_at + half_sums, ring + 4 * half_sums};
    return {ring + 2 * group * half_sums, ring + (2 * group + 1) * half_sums};
  }
};

// What an output is made of besides sums, and where outputs and their norms go: to `out`, and where
// something comes next the norms to y or to both blocks' `normed`.
struct JoinedRows {
  bf16* out;
  float factor, skip, epsilon;
  bf16* y;
  bool shared;
};

// A piece of an output, from its sum and h.
template <class C>
__device__ void finish_output(const JoinedRows& s, float (&v)[8], const unsigned char* h,
                              unsigned char* normed, int row, int piece, int64_t at, bool real,
                              int other) {
  const uint32_t place = piece_at(C::own, row, piece);
  float old[8], squares = 0.0f;
  load8(reinterpret_cast<const bf16*>(h + place), old);
#pragma unroll
  for (int k = 0; k < 8; ++k) v[k] = s.factor * v[k] + s.skip * old[k];
  round_all<bf16>(v);
  if (real) store8_whole(s.out + at, v);
  if (!s.y && !s.shared) return;
#pragma unroll
  for (int k = 0; k < 8; ++k) squares += v[k] * v[k];
  const float scale = rsqrtf(group_sum<row_pieces>(squares) / wide_row + s.epsilon);
#pragma unroll
  for (int k = 0; k < 8; ++k) v[k] *= scale;
  if (!s.shared) {
    if (real) store8_whole(s.y + at, v);
    return;
  }
  const uint4 packed =
      make_uint4(pack2(v[0], v[1]), pack2(v[2], v[3]), pack2(v[4], v[5]), pack2(v[6], v[7]));
  *reinterpret_cast<uint4*>(normed + place) = packed;
  store_there(of_block(shared_address(normed) + place, other), packed);
}

// All of it, from the warpgroups' sums in their places (the block has synchronised) on. The blocks
// have arrived once since the map was read, and wait for that here.
template <class C>
__device__ void join_blocks(const JoinedRows& s, const JoinPlaces<C>& places,
                            const unsigned char* h, unsigned char* normed, int block, int begin,
                            int end) {
  const SumPlaces sums[3] = {places.of(0), places.of(1), places.of(2)};
  const SumPlaces received{places.received(), places.received()};
  const int other = 1 - block;
  await_blocks();
  each_piece<C, half_rows>([&](int row, int piece) {
    float v[8];
    add_sums(v, sums, other * half_rows + row, piece);
    const uint32_t there = of_block(shared_address(received.at(row, piece)), other);
    store_there(there, {v[0], v[1], v[2], v[3]});
    store_there(there + 16, {v[4], v[5], v[6], v[7]});
  });
  synchronise_blocks();
  each_piece<C, half_rows>([&](int row, int piece) {
    float v[8], more[8];
    const int own = block * half_rows + row;
    add_sums(v, sums, own, piece);
    load8(reinterpret_cast<const float*>(received.at(row, piece)), more);
#pragma unroll
    for (int k = 0; k < 8; ++k) v[k] += more[k];
    finish_output<C>(s, v, h, normed, own, piece,
                     static_cast<int64_t>(begin + own) * wide_row + 8 * piece, begin + own < end,
                     other);
  });
}

}  // namespace rung::cuda
