#ifdef RUNG_CUDA
#include "ops/cuda/device.h"

#include <cuda_runtime_api.h>

namespace rung::cuda {
namespace {

int attribute(cudaDeviceAttr which) {
  int device = 0, value = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&value, which, device);
  return value;
}

}  // namespace

int64_t processors() {
  const int count = attribute(cudaDevAttrMultiProcessorCount);
  return count < 1 ? 1 : count;
}

int64_t block_memory() {
  return attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
}

bool is_hopper() {
  return attribute(cudaDevAttrComputeCapabilityMajor) == 9;
}

}  // namespace rung::cuda
#endif
