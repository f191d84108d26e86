#include "optim/shampoo.h"

#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/where.h>

#include <cmath>

#include "optim/adamw.h"
#include "optim/elementwise.h"

namespace rung {
namespace {

using at::Tensor;

constexpr double roots_every = 10.0;  // steps
// Of the largest eigenvalue, about fp32's error in the others.
constexpr double eigenvalue_ridge = 1e-6;
constexpr double least_eigenvalue = 1e-30;  // keeps the root of a factor of zeros defined

Tensor inverse_fourth_root(const Tensor& factor) {
  const auto [values, vectors] = at::linalg_eigh(factor);
  const Tensor largest = values.narrow(1, values.size(1) - 1, 1).clamp_min(least_eigenvalue);
  const Tensor roots = (values.clamp_min(0.0) + largest * eigenvalue_ridge).pow(-0.25);
  return at::matmul(vectors * roots.unsqueeze(1), vectors.mT());
}

void shampoo_tensor(const StepInput& in, size_t index, bool renewal) {
  const auto& shape = in.layout.tensors[index].shape;
  const auto square = [&](const char* name, int64_t size) {
    return in.state.at(fmt::format("{}.{}", name, index)).view({-1, size, size});
  };
  const auto scalar = [&](Hyper h) { return hyper_column(in, h).unsqueeze(2); };
  Tensor g = view(in.layout, in.gradient, index) * scalar(hyper_scale);
  // Decompositions want numbers, of members too that are left as they are.
  if (in.alive.defined()) g = at::where(in.alive.view({-1, 1, 1}) > 0, g, 0.0);
  const Tensor beta1 = scalar(hyper_beta1), beta2 = scalar(hyper_beta2);
  Tensor left = square("L", shape[0]), right = square("R", shape[1]);
  left.mul_(beta2).add_(at::matmul(g, g.mT()) * (1.0 - beta2));
  right.mul_(beta2).add_(at::matmul(g.mT(), g) * (1.0 - beta2));
  Tensor left_root = square("P_L", shape[0]), right_root = square("P_R", shape[1]);
  if (renewal) {
    left_root.copy_(inverse_fourth_root(left / scalar(hyper_correction2)));
    right_root.copy_(inverse_fourth_root(right / scalar(hyper_correction2)));
  }
  Tensor m = view(in.layout, in.state.at("exp_avg"), index);
  m.mul_(beta1).add_(g * (1.0 - beta1));
  const Tensor direction =
      at::matmul(at::matmul(left_root, m / scalar(hyper_correction1)), right_root);
  const Factors& f = in.layout.factors[index];
  Tensor w = view(in.layout, in.weights, index);
  w.sub_(direction * (scalar(hyper_lr) * f.C) + w * (scalar(hyper_decay) * f.decay));
}

void shampoo_tensors(const StepInput& in) {
  Tensor steps = in.state.at("steps");
  // Members of one call are equally far, but for those that are left as they are.
  const bool renewal = std::fmod(steps.max().item<double>(), roots_every) == 0.0;
  for (size_t i = 0; i < in.layout.tensors.size(); ++i)
    if (is_hidden_matrix(in.layout.tensors[i]))
      shampoo_tensor(in, i, renewal);
    else if (!in.weights.is_cuda())
      adamw_tensor(in, i);
#ifdef RUNG_CUDA
  if (in.weights.is_cuda()) adamw_others_cuda(in);
#endif
  steps.add_(1.0);
}

}  // namespace

std::vector<StateSpec> shampoo_state(const Layout& layout) {
  std::vector<StateSpec> state = adamw_state(layout);
  state.push_back({"steps", 1});
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    if (!is_hidden_matrix(layout.tensors[i])) continue;
    const int64_t m = layout.tensors[i].shape[0], n = layout.tensors[i].shape[1];
    for (const auto& [name, size] : {std::pair{"L", m}, {"P_L", m}, {"R", n}, {"P_R", n}})
      state.push_back({fmt::format("{}.{}", name, i), size * size});
  }
  return state;
}

void shampoo_step(const StepInput& in) {
  step_alive(in, [&] { shampoo_tensors(in); });
}

}  // namespace rung
