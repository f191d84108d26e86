// Rows that are too few for a block each multiprocessor: several warpgroups, of one block or of the
// two of a cluster, take turns with the slices of the same 64 rows (C::own), and add up what each
// has. C::blocks says how many blocks these are, C::groups how many warpgroups a block has,
// C::split that they share rows, C::spread that the blocks are two.
#pragma once
#include "ops/cuda/hopper/cluster.cuh"
#include "ops/cuda/hopper/wide_rows.cuh"

namespace rung::cuda {

// Whether two blocks for 64 rows are no more than the device has multiprocessors.
inline bool spreads(int64_t members, int64_t rows) {
  return 2 * blocks_for(rows, 64) * members <= processors();
}

// A block among those that share rows; of the slices it has every C::blocks-th.
template <class C>
struct Share {
  static_assert((C::split || !C::spread) && C::blocks == (C::spread ? 2 : 1));
  int block = static_cast<int>(blockIdx.x) % C::blocks;
  int begin = static_cast<int>(blockIdx.x) / C::blocks * C::own;
  __device__ int slices(int all) const { return (all - block + C::blocks - 1) / C::blocks; }
  __device__ int unit(int slice) const { return (slice * C::blocks + block) * C::units; }
};

// Of slices that one block's warpgroups share: the others' sums are added to the first's in order,
// by way of `shared`. Returns whether this warpgroup goes on.
template <class C>
__device__ inline bool join_groups(float (&sum)[16][4], unsigned char* shared, int group) {
  if constexpr (!C::split) return true;
  constexpr int apart = 128 * 16;  // bytes from a lane's four numbers to its next four
  unsigned char* const mine = shared + threadIdx.x % 128 * 16;
  __syncthreads();  // nothing is turned there any more
  if (group > 0) {
    unsigned char* const to = mine + 16 * apart * (group - 1);
#pragma unroll
    for (int i = 0; i < 16; ++i)
      *reinterpret_cast<float4*>(to + apart * i) =
          make_float4(sum[i][0], sum[i][1], sum[i][2], sum[i][3]);
  }
  __syncthreads();
  if (group > 0) return false;
#pragma unroll 1
  for (int other = 0; other < C::groups - 1; ++other)
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      if (i % 4 == 0) asm volatile("" ::: "memory");  // or all would be read at once
      const float4 more = *reinterpret_cast<const float4*>(mine + apart * (16 * other + i));
      sum[i][0] += more.x, sum[i][1] += more.y, sum[i][2] += more.z, sum[i][3] += more.w;
    }
  return true;
}

}  // namespace rung::cuda
