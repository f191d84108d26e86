#ifdef RUNG_CUDA
#include "ops/cuda/fused.h"
#include "ops/cuda/hopper/wide_loss.h"
#include "ops/cuda/tensor.h"

namespace rung::cuda {

void chunk_loss(const at::Tensor& logits, const at::Tensor& targets, double gradient, bool wanted,
                const at::Tensor& losses) {
  const LossShape shape{logits.size(0), logits.size(1), logits.size(2), targets.stride(0),
                        losses.stride(0)};
  const auto run = fits_wide_loss(type_of(logits), shape.vocabulary) ? wide_loss : cross_entropy;
  run(type_of(logits), shape, writable(logits), targets.const_data_ptr<int64_t>(),
      wanted ? static_cast<float>(gradient) : 0.0f, floats(losses), stream());
}

}  // namespace rung::cuda
#endif
