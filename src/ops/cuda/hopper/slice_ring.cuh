// A ring of slices in shared memory. One thread has them copied; the warps that use a slice
// (C::users) tell when they are done with it, so that warpgroups need not keep in step.
#pragma once
#include <type_traits>

#include "ops/cuda/hopper/tensor_copy.cuh"

namespace rung::cuda {

// Pairs of barriers of a ring: a stage's own where all warps use every slice. Where warpgroups take
// turns, one may be rounds of the ring ahead of another, and a barrier's parity does not tell the
// round before last from the present one: there each pair is of slices that are one warpgroup's
// (C::barrier_pairs, a multiple of the stages and of the warpgroups).
template <class C, class = void>
constexpr int barrier_pairs = C::stages;
template <class C>
constexpr int barrier_pairs<C, std::enable_if_t<(C::barrier_pairs > 0)>> = C::barrier_pairs;

template <class C>
struct Ring {
  static constexpr int pairs = barrier_pairs<C>, barrier_bytes = 16 * pairs;
  uint32_t slices, barriers;  // barriers: a slice has come, of each pair; then: it is done with
  __device__ uint32_t slice(int i) const { return slices + i % C::stages * C::slice_bytes; }
  __device__ uint32_t full(int i) const { return barriers + i % pairs * 8; }
  __device__ uint32_t empty(int i) const { return full(i) + pairs * 8; }
  __device__ static uint32_t parity(int i) { return i / pairs & 1; }

  // By one thread, before the block synchronises; show_barriers follows.
  __device__ void start() const {
    for (int i = 0; i < pairs; ++i) {
      start_barrier(full(i), 1);
      start_barrier(empty(i), C::users);
    }
  }
  __device__ void announce_slice(int i) const { announce(full(i), C::slice_bytes); }
  __device__ void wait(int i) const { wait_barrier(full(i), parity(i)); }
  __device__ void done(int i, int lane) const {
    if (lane == 0) arrive(empty(i));
  }
  // By one thread: load(j) for the slice j that takes the place of slice i, once that is done with.
  template <class Load>
  __device__ void replace(int i, int count, const Load& load) const {
    if (i < 0 || i + C::stages >= count) return;
    wait_barrier(empty(i), parity(i));
    load(i + C::stages);
  }
};

}  // namespace rung::cuda
