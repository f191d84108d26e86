#include "core/error.h"
#include "train/engine.h"

namespace rung {

#ifndef RUNG_CUDA
std::unique_ptr<Population::Engine> Population::Engine::make_cuda(const Population&) {
  fail(
      "[device] This build has no CUDA. Rebuild with RUNG_CUDA=1 on a machine with a GPU, or use "
      "--device cpu.");
}
#endif

}  // namespace rung
