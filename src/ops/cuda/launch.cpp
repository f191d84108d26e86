#include "core/error.h"
#include "ops/cuda/kernels.h"

namespace rung::cuda {

void launch_failed(const char* message) {
  fail("[cuda] A kernel could not be launched: {}.", message);
}

}  // namespace rung::cuda
