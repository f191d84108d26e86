#include "ops/cross_entropy.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tanh.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "ops/cpu/kernels.h"
#include "ops/cuda/fused.h"
#include "ops/custom.h"
#include "ops/dispatch.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "ops/span.h"

namespace rung {

using at::Tensor;

Tensor linear_cross_entropy_plain(const Tensor& x, const Weight& weight, const Tensor& targets,
                                  const LossOptions& o) {
  const int64_t members = x.size(0), rows = x.size(1) * x.size(2);
  // The factors of the three gradients differ, so each path is scaled where it leaves the product.
  const double forward = weight.A * o.logit;
  const Tensor input =
      scale_gradient(x, weight.A_input / weight.A).view({members, rows, x.size(3)});
  const Tensor matrix = scale_gradient(leaf(weight), weight.A_weight / weight.A);
  Tensor logits = at::matmul(input, matrix.transpose(1, 2)) * forward;
  if (o.cap > 0.0) logits = at::tanh(logits / o.cap) * o.cap;
  if (o.vocabulary) logits = logits.narrow(-1, 0, o.vocabulary);
  const Tensor wide = logits.scalar_type() == at::kDouble ? logits : logits.to(at::kFloat);
  const Tensor scores = scale_gradient(at::log_softmax(wide, -1), o.gradient);
  return -scores.gather(-1, targets.view({members, rows, 1})).view(targets.sizes());
}

namespace {

// One chunk's logits [P, rows, V] -> losses; logits become gradients when wanted.
void chunk_loss(Tensor logits, const Tensor& targets, double gradient, bool wanted, Tensor losses) {
  if constexpr (with_cuda)
    if (fused_on_cuda(logits)) return cuda::chunk_loss(logits, targets, gradient, wanted, losses);
  if (fused_on_cpu(logits)) {
    for (int64_t p = 0; p < logits.size(0); ++p)
      cpu::cross_entropy(logits.size(1), logits.size(2),
                         logits.select(0, p).mutable_data_ptr<float>(),
                         targets.select(0, p).const_data_ptr<int64_t>(),
                         wanted ? static_cast<float>(gradient) : 0.0f,
                         losses.select(0, p).mutable_data_ptr<float>());
    return;
  }
  const Tensor wide = logits.scalar_type() == at::kDouble ? logits : logits.to(at::kFloat);
  const Tensor index = targets.unsqueeze(-1);
  const Tensor lse = at::logsumexp(wide, {-1}, true);
  losses.copy_((lse - wide.gather(-1, index)).squeeze(-1));
  if (!wanted) return;
  Tensor probabilities = (wide - lse).exp_();
  probabilities.scatter_add_(-1, index, at::empty_like(index, wide.options()).fill_(-1.0));
  logits.copy_(probabilities.mul_(gradient));
}

// Logits become cap tanh(l / cap); returns the derivative, 1 - tanh^2, when wanted.
Tensor cap_logits(Tensor logits, double cap, bool wanted) {
  logits.div_(cap).tanh_();
  const Tensor slope = wanted ? 1.0 - logits * logits : Tensor();
  logits.mul_(cap);
  return slope;
}

// x [P, rows, D] -> losses [P, rows] and, when wanted, the gradient of x; logits exist for a chunk
// of rows at a time, or not at all.
std::pair<Tensor, Tensor> losses_and_gradient(const Tensor& x, const Weight& weight,
                                              const Tensor& targets, const LossOptions& o,
                                              bool wanted) {
  if constexpr (with_cuda)
    if (fused_on_cuda(x)) {
      if (cuda::fits_linear_cross_entropy(x, weight, o))
        return cuda::linear_cross_entropy(x, weight, targets, o, wanted);
      if (cuda::fits_streamed_cross_entropy(x, weight, o))
        return cuda::streamed_cross_entropy(x, weight, targets, o, wanted);
      if (cuda::fits_powers_cross_entropy(x, weight, o))
        return cuda::powers_cross_entropy(x, weight, targets, o, wanted);
    }
  const int64_t members = x.size(0), rows = x.size(1);
  const int64_t vocabulary = o.vocabulary ? o.vocabulary : weight.value.size(1);
  const Tensor matrix = weight.value.detach().narrow(1, 0, vocabulary);
  const auto wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  Tensor losses = at::empty({members, rows}, x.options().dtype(wide)), dx;
  if (wanted) dx = at::empty_like(x);
  // A tap keeps all logits at once.
  const int64_t chunk = weight.taps   ? rows
                        : x.is_cuda() ? gpu_logit_rows(members, rows, vocabulary)
                                      : o.chunk;
  for (int64_t start = 0; start < rows; start += chunk) {
    const int64_t count = std::min(chunk, rows - start);
    const Tensor part = x.narrow(1, start, count);
    Tensor logits = at::empty({members, count, vocabulary}, x.options());
    matmul_into(logits, part, matrix.transpose(1, 2), weight.A * o.logit, false);
    const size_t use = weight.taps ? open_tap(weight, x, logits.clone()) : 0;
    const Tensor slope = o.cap > 0.0 ? cap_logits(logits, o.cap, wanted) : Tensor();
    chunk_loss(logits, targets.narrow(1, start, count), o.gradient, wanted,
               losses.narrow(1, start, count));
    if (!wanted) continue;
    if (slope.defined()) logits.mul_(slope);
    if (weight.gradient.defined()) {
      const Tensor sum = weight.gradient.narrow(1, 0, vocabulary);
      matmul_into(sum, logits.transpose(1, 2), part, weight.A_weight * o.logit, !writes_over(sum));
    }
    matmul_into(dx.narrow(1, start, count), logits, matrix, weight.A_input * o.logit, false);
    close_tap(weight, use, logits, dx);
  }
  return {losses, dx};
}

}  // namespace

int64_t gpu_logit_rows(int64_t members, int64_t rows, int64_t vocabulary) {
  constexpr int64_t most = int64_t{1} << 27, tile = 128;  // logits; rows of the library's products
  const int64_t chunks = (members * rows * vocabulary + most - 1) / most;
  const int64_t even = (rows + chunks - 1) / chunks;
  return std::min(rows, (even + tile - 1) / tile * tile);
}

Tensor linear_cross_entropy(const Tensor& x, const Weight& weight, const Tensor& targets,
                            const LossOptions& o) {
  const Span span("rung::loss");
  const int64_t members = x.size(0), rows = x.size(1) * x.size(2);
  const bool wanted = recording() && x.requires_grad();
  Tensor losses, dx;
  {
    at::NoGradGuard off;
    const Tensor input = x.detach().contiguous().view({members, rows, x.size(3)});
    const Tensor index = targets.view({members, rows});
    std::tie(losses, dx) = losses_and_gradient(input, weight, index, o, wanted);
    losses = losses.view(targets.sizes());
  }
  // Upstream gradients are one by contract: the factor lies in options.gradient.
  record({losses}, {x}, [dx, sizes = x.sizes().vec()](const std::vector<Tensor>&) {
    return std::vector<Tensor>{dx.view(sizes)};
  });
  return losses;
}

}  // namespace rung
