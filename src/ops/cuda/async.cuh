// Copies from global to shared memory that run beside the thread (PTX cp.async).
#pragma once
#include "ops/cuda/common.cuh"

namespace rung::cuda {

// 16 bytes, or zeros where they are not `real` (`from` must still be a valid address).
__device__ inline void copy16(bf16* to, const bf16* from, bool real) {
  const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(at), "l"(from), "r"(real ? 16 : 0)
               : "memory");
}

// Ends a group of this thread's copies.
__device__ inline void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits for this thread's copies except those of its last `groups` groups.
template <int groups>
__device__ inline void wait_copies() {
  asm volatile("cp.async.wait_group %0;" : : "n"(groups) : "memory");
}

}  // namespace rung::cuda
