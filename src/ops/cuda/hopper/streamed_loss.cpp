#ifdef RUNG_CUDA
#include "ops/cuda/hopper/streamed_loss.h"

#include <ATen/ops/empty.h>

#include "ops/cuda/hopper/loss_chunks.h"
#include "ops/cuda/tensor.h"
#include "ops/linear.h"

namespace rung::cuda {

using at::Tensor;

namespace {

struct StreamedChunk : LossOperands {
  void run(bool adds) const {
    const int64_t members = x.size(0), rows = x.size(1), width = x.size(2);
    const StreamedLoss shape{.members = members,
                             .rows = rows,
                             .vocabulary = vocabulary,
                             .row_stride = x.stride(0),
                             .weight_stride = weight.value.stride(0),
                             .target_stride = targets.stride(0),
                             .loss_stride = losses.stride(0),
                             .forward = static_cast<float>(weight.A * options.logit)};
    const double gradient = options.logit * options.gradient;
    Tensor q, share;
    if (dx.defined()) {
      q = at::empty({members, rows, vocabulary}, x.options());
      share = at::empty({members, rows, width}, x.options());
    }
    streamed_loss(shape, data(x), data(weight.value), targets.const_data_ptr<int64_t>(),
                  static_cast<float>(weight.A_input * gradient), floats(losses), writable(dx),
                  writable(q), writable(share), stream());
    if (dx.defined() && weight.gradient.defined())
      matmul_into(sum(), q.transpose(1, 2), share, weight.A_weight * gradient, adds);
  }
};

}  // namespace

bool fits_streamed_cross_entropy(const Tensor& x, const Weight& weight, const LossOptions& o) {
  return fits_streamed_loss(x.size(2), vocabulary_of(weight, o)) &&
         takes_exponentials(x, weight, o) && is_packed_half(weight);
}

std::pair<Tensor, Tensor> streamed_cross_entropy(const Tensor& x, const Weight& weight,
                                                 const Tensor& targets, const LossOptions& o,
                                                 bool wanted) {
  return cross_entropy_in_chunks<StreamedChunk>(x, weight, targets, o, wanted);
}

}  // namespace rung::cuda
#endif
