#include "model/heads.h"

#include "model/readout.h"
#include "ops/custom.h"

namespace rung {

using at::Tensor;

Tensor head_losses(const Run& run, size_t k, const Tensor& z, const Tensor& targets,
                   double gradient) {
  const int64_t ahead = static_cast<int64_t>(k) + 1, count = z.size(2) - ahead;
  const Tensor y = run_branches(run, run.d.heads[k], z).normed;
  return readout_losses(run.d, run.weights, y.narrow(2, 0, count),
                        targets.narrow(2, ahead, count).contiguous(), gradient);
}

Tensor train_heads(const Run& run, const Tensor& z, const Tensor& targets, double gradient) {
  const bool wanted = recording() && z.requires_grad();
  if (!wanted && !run.tally) return z;
  Tensor total;
  for (size_t k = 0; k < run.d.heads.size(); ++k) {
    if (z.size(2) <= static_cast<int64_t>(k) + 1) break;  // its targets lie beyond the window
    Tensor input = z.detach();
    if (wanted) input.requires_grad_();
    const Tensor losses = head_losses(run, k, input, targets, gradient);
    if (run.tally)
      run.tally->add(static_cast<int>(run.d.branches[run.d.heads[k].begin] / 2), "loss",
                     losses.detach().flatten(1).sum(1, true), losses.size(1) * losses.size(2));
    if (!wanted) continue;
    losses.sum().backward();
    total = total.defined() ? total.add_(input.grad()) : input.grad();
  }
  return wanted && total.defined() ? add_gradient(z, total) : z;
}

}  // namespace rung
