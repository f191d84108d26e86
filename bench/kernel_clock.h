// The time of a kernel that is launched alone.
#pragma once
#include <cuda_runtime_api.h>

#include <algorithm>

#include "device_buffers.h"

namespace rung {

// The least time of a launch in microseconds, over 8 turns of 4 each.
template <class Launch>
double least_microseconds(const Launch& launch) {
  constexpr int turns = 8, launches = 4;
  cudaEvent_t begin = nullptr, end = nullptr;
  check_cuda(cudaEventCreate(&begin));
  check_cuda(cudaEventCreate(&end));
  float least = 1e9f;
  for (int turn = 0; turn < turns; ++turn) {
    check_cuda(cudaEventRecord(begin));
    for (int i = 0; i < launches; ++i) launch();
    check_cuda(cudaEventRecord(end));
    check_cuda(cudaEventSynchronize(end));
    float ms = 0.0f;
    check_cuda(cudaEventElapsedTime(&ms, begin, end));
    least = std::min(least, ms / launches);
  }
  check_cuda(cudaEventDestroy(begin));
  check_cuda(cudaEventDestroy(end));
  return 1e3 * static_cast<double>(least);
}

}  // namespace rung
