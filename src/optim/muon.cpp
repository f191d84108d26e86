#include "optim/muon.h"

#include <ATen/ops/lerp.h>
#include <ATen/ops/linalg_norm.h>
#include <ATen/ops/matmul.h>

#include <cmath>

#include "optim/adamw.h"

namespace rung {
namespace {

using at::Tensor;

constexpr double momentum = 0.95;
// The quintic a x + b x^3 + c x^5 whose slope at 0 is as steep as convergence to about 1 allows.
constexpr double quintic_a = 3.4445, quintic_b = -4.7750, quintic_c = 2.0315;
constexpr int quintic_steps = 5;

void muon_tensor(const StepInput& in, size_t index) {
  const Factors& f = in.layout.factors[index];
  const auto scalar = [&](Hyper h) { return hyper_column(in, h).unsqueeze(2); };
  const Tensor g = view(in.layout, in.gradient, index) * scalar(hyper_scale);
  Tensor buffer = view(in.layout, in.state.at("exp_avg"), index);
  Tensor w = view(in.layout, in.weights, index);
  buffer.lerp_(g, 1.0 - momentum);
  const Tensor update = orthogonalise(at::lerp(g, buffer, momentum));
  // C = sqrt(max(1, out / in)) / A, by scaling/conventions.cpp.
  w.sub_(update * (scalar(hyper_lr) * f.C) + w * (scalar(hyper_decay) * f.decay));
}

}  // namespace

std::vector<StateSpec> muon_state(const Layout& layout) {
  return adamw_state(layout);
}

void muon_step(const StepInput& in) {
  for (size_t i = 0; i < in.layout.tensors.size(); ++i)
    is_hidden_matrix(in.layout.tensors[i]) ? muon_tensor(in, i) : adamw_tensor(in, i);
}

Tensor orthogonalise(const Tensor& x) {
  const bool tall = x.size(-2) > x.size(-1);
  Tensor y = tall ? x.mT() : x;
  y = y / (at::linalg_norm(y, c10::nullopt, at::IntArrayRef{-2, -1}, true) + 1e-7);
  for (int i = 0; i < quintic_steps; ++i) {
    const Tensor square = at::matmul(y, y.mT());
    y = quintic_a * y + at::matmul(quintic_b * square + quintic_c * at::matmul(square, square), y);
  }
  return tall ? y.mT() : y;
}

}  // namespace rung
