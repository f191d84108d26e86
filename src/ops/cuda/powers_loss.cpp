#ifdef RUNG_CUDA
#include "ops/cuda/powers_loss.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

#include "ops/cuda/device.h"
#include "ops/cuda/fused.h"
#include "ops/cuda/narrow.h"
#include "ops/cuda/streamed_rows.h"
#include "ops/cuda/tensor.h"
#include "ops/linear.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// Rows [start, start + count) of all members: losses, and where dx is defined both gradients.
struct PowersChunk {
  const Tensor &x, &targets, &losses, &dx;
  const Weight& weight;
  const LossOptions& options;
  int64_t vocabulary;

  PowersLoss shape(int64_t rows) const {
    PowersLoss shape{.members = x.size(0),
                     .rows = rows,
                     .vocabulary = vocabulary,
                     .width = x.size(2),
                     .row_stride = x.stride(0),
                     .weight_stride = weight.value.stride(0),
                     .target_stride = targets.stride(0),
                     .loss_stride = losses.stride(0),
                     .forward = static_cast<float>(weight.A * options.logit)};
    plan_powers_loss(shape);
    return shape;
  }

  void run(int64_t start, int64_t count) const {
    const Tensor part = x.narrow(1, start, count), loss = losses.narrow(1, start, count),
                 index = targets.narrow(1, start, count);
    const PowersLoss s = shape(count);
    const Tensor totals = at::empty({s.members, count, s.parts}, losses.options()),
                 hits = at::empty({s.members, count}, losses.options());
    const double gradient = options.logit * options.gradient;
    Tensor q, share, scale;
    if (dx.defined()) {
      q = at::empty({s.members, count, vocabulary}, x.options());
      share = at::empty({s.members, count, s.width}, x.options());
      scale = at::empty({s.members, count}, losses.options());
    }
    const PowersSums sums{.x = data(part),
                          .weight = data(weight.value),
                          .targets = index.const_data_ptr<int64_t>(),
                          .q = writable(q),
                          .totals = floats(totals),
                          .hits = floats(hits)};
    powers_product(s, sums, stream());
    powers_join(s, sums,
                {.factor = static_cast<float>(weight.A_input * gradient),
                 .loss = floats(loss),
                 .scale = floats(scale),
                 .share = writable(share)},
                stream());
    if (!dx.defined()) return;
    if (weight.gradient.defined()) {
      const Tensor sum = weight.gradient.narrow(1, 0, vocabulary);
      matmul_into(sum, q.transpose(1, 2), share, weight.A_weight * gradient, !writes_over(sum));
    }
    const Tensor to = dx.narrow(1, start, count);
    matmul_into(to, q, weight.value.detach().narrow(1, 0, vocabulary), 1.0, false);
    powers_scale(s, floats(scale), writable(to), stream());
  }
};

}  // namespace

bool fits_powers_cross_entropy(const Tensor& x, const Weight& weight, const LossOptions& o) {
  const int64_t vocabulary = o.vocabulary ? o.vocabulary : weight.value.size(1);
  return fits_powers_loss(x.size(2), vocabulary) && is_hopper() &&
         x.scalar_type() == at::kBFloat16 && x.size(0) < 65536 && o.cap == 0.0 &&
         weight.A * o.logit > 0.0 && weight.is_plain() && is_packed_map(weight) &&
         block_memory() >= hopper_block_memory && fills_device(x.size(0), x.size(1), processors());
}

std::pair<Tensor, Tensor> powers_cross_entropy(const Tensor& x, const Weight& weight,
                                               const Tensor& targets, const LossOptions& o,
                                               bool wanted) {
  const int64_t members = x.size(0), rows = x.size(1);
  const int64_t vocabulary = o.vocabulary ? o.vocabulary : weight.value.size(1);
  const Tensor index = targets.contiguous();
  const Tensor losses = at::empty({members, rows}, x.options().dtype(at::kFloat));
  const Tensor dx = wanted ? at::empty_like(x) : Tensor();
  // As many chunks as of logits in cross_entropy.cpp.
  constexpr int64_t most = int64_t{1} << 30;
  const int64_t chunks = wanted ? (members * rows * vocabulary + most - 1) / most : 1;
  const int64_t chunk = (rows + chunks - 1) / chunks;
  const PowersChunk part{x, index, losses, dx, weight, o, vocabulary};
  for (int64_t start = 0; start < rows; start += chunk)
    part.run(start, std::min(chunk, rows - start));
  return {losses, dx};
}

}  // namespace rung::cuda
#endif
