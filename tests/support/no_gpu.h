// Whether a test on CUDA has to be skipped. For builds with RUNG_CUDA.
#pragma once
#include <c10/cuda/CUDAFunctions.h>
#include <doctest/doctest.h>

namespace rung::test {

inline bool no_gpu() {
  if (c10::cuda::device_count() > 0) return false;
  MESSAGE("skipped: no CUDA device");
  return true;
}

}  // namespace rung::test
