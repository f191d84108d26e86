// Two or more blocks on neighbouring multiprocessors (a cluster of compute capability 9.0) that
// read and write each other's shared memory.
#pragma once
#include "ops/cuda/async.cuh"

namespace rung::cuda {

// What a block of the cluster calls `address` in its shared memory, as the others reach it.
__device__ inline uint32_t of_block(uint32_t address, int block) {
  uint32_t there = 0;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(block));
  return there;
}
__device__ inline void store_there(uint32_t address, const float (&v)[4]) {
  asm volatile("st.shared::cluster.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(address), "f"(v[0]),
               "f"(v[1]), "f"(v[2]), "f"(v[3])
               : "memory");
}
__device__ inline void store_there(uint32_t address, uint32_t v) {
  asm volatile("st.shared::cluster.u32 [%0], %1;" ::"r"(address), "r"(v) : "memory");
}
// Shows what this thread wrote, wherever it did, to wgmma, as show_copies does of its own block's.
__device__ inline void show_all_writes() {
  asm volatile("fence.proxy.async;" ::: "memory");
}
__device__ inline void store_there(uint32_t address, const uint4& v) {
  asm volatile("st.shared::cluster.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(v.x),
               "r"(v.y), "r"(v.z), "r"(v.w)
               : "memory");
}
// All threads of the cluster arrive; who waits then sees what any of them wrote before.
__device__ inline void arrive_at_blocks() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
__device__ inline void await_blocks() {
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}
__device__ inline void synchronise_blocks() {
  arrive_at_blocks();
  await_blocks();
}

// A launch whose blocks form clusters of `blocks` along x.
template <class Kernel, class... Args>
void launch_clusters(Kernel kernel, dim3 grid, int threads, int bytes, int blocks, Stream stream,
                     const Args&... args) {
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {static_cast<unsigned>(blocks), 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = static_cast<size_t>(bytes);
  config.stream = stream;
  config.attrs = &cluster;
  config.numAttrs = 1;
  cudaLaunchKernelEx(&config, kernel, args...);
}

}  // namespace rung::cuda
