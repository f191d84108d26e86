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
  void run(int64_t start, int64_t count) const {
    const int64_t members = x.size(0), width = x.size(2);
    const Tensor part = x.narrow(1, start, count), loss = losses.narrow(1, start, count),
                 index = targets.narrow(1, start, count);
    const StreamedLoss shape{.members = members,
                             .rows = count,
                             .vocabulary = vocabulary,
                             .row_stride = x.stride(0),
                             .weight_stride = weight.value.stride(0),
                             .target_stride = targets.stride(0),
                             .loss_stride = losses.stride(0),
                             .forward = static_cast<float>(weight.A * options.logit)};
    const double gradient = options.logit * options.gradient;
    Tensor to, q, share;
    if (dx.defined()) {
      to = dx.narrow(1, start, count);
      q = at::empty({members, count, vocabulary}, x.options());
      share = at::empty({members, count, width}, x.options());
    }
    streamed_loss(shape, data(part), data(weight.value), index.const_data_ptr<int64_t>(),
                  static_cast<float>(weight.A_input * gradient), floats(loss), writable(to),
                  writable(q), writable(share), stream());
    if (!dx.defined() || !weight.gradient.defined()) return;
    const Tensor sum = weight.gradient.narrow(1, 0, vocabulary);
    matmul_into(sum, q.transpose(1, 2), share, weight.A_weight * gradient, !writes_over(sum));
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
