// Copies from global to shared memory that run beside the thread (PTX cp.async).
#pragma once
#include "ops/cuda/common.cuh"

namespace rung::cuda {

__device__ inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// 4, 8 or 16 bytes, or zeros where they are not `real` (`from` must still be a valid address).
template <int bytes>
__device__ inline void copy_async(uint32_t to, const void* from, bool real) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
               :
               : "r"(to), "l"(from), "n"(bytes), "r"(real ? bytes : 0)
               : "memory");
}
template <>
__device__ inline void copy_async<16>(uint32_t to, const void* from, bool real) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(to), "l"(from), "r"(real ? 16 : 0)
               : "memory");
}
__device__ inline void copy16(bf16* to, const bf16* from, bool real) {
  copy_async<16>(shared_address(to), from, real);
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
