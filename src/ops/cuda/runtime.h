// Calls of the CUDA runtime that must succeed.
#pragma once
#include <cuda_runtime_api.h>

#include "ops/cuda/kernels.h"

namespace rung::cuda {

inline void check_runtime(cudaError_t error) {
  if (error != cudaSuccess) launch_failed(cudaGetErrorString(error));
}

}  // namespace rung::cuda
