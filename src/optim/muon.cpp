#include "optim/muon.h"

#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/lerp.h>
#include <ATen/ops/linalg_norm.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "optim/adamw.h"

namespace rung {
namespace {

using at::Tensor;

constexpr double momentum = 0.95;
// The quintic a x + b x^3 + c x^5 whose slope at 0 is as steep as convergence to about 1 allows.
constexpr double quintic_a = 3.4445, quintic_b = -4.7750, quintic_c = 2.0315;
constexpr int quintic_steps = 5;

Tensor scalar_of(const StepInput& in, Hyper h) {
  return hyper_column(in, h).unsqueeze(2);
}

// C = sqrt(max(1, out / in)) / A, by scaling/conventions.cpp.
Tensor change_of(const StepInput& in, size_t index, const Tensor& direction, const Tensor& w) {
  const Factors& f = in.layout.factors[index];
  return direction * (scalar_of(in, hyper_lr) * f.C) + w * (scalar_of(in, hyper_decay) * f.decay);
}

void muon_tensor(const StepInput& in, size_t index) {
  const Tensor g = view(in.layout, in.gradient, index) * scalar_of(in, hyper_scale);
  Tensor buffer = view(in.layout, in.state.at("exp_avg"), index);
  Tensor w = view(in.layout, in.weights, index);
  buffer.lerp_(g, 1.0 - momentum);
  w.sub_(change_of(in, index, orthogonalise(at::lerp(g, buffer, momentum)), w));
}

// Hidden matrices of one shape, up to transposition.
using Alike = std::map<std::pair<int64_t, int64_t>, std::vector<size_t>>;

Alike alike_matrices(const Layout& layout) {
  Alike groups;
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    if (!is_hidden_matrix(layout.tensors[i])) continue;
    const auto [small, large] = std::minmax(layout.tensors[i].shape[0], layout.tensors[i].shape[1]);
    groups[{small, large}].push_back(i);
  }
  return groups;
}

// Matrices of one shape at once, in bf16 where training computes in it, as the authors do. Members
// that are not alive are left as they are.
void muon_alike(const StepInput& in, const std::vector<size_t>& indices, int64_t small,
                int64_t large) {
  const int64_t members = in.weights.size(0), count = static_cast<int64_t>(indices.size());
  const Tensor alive = in.alive.defined() ? in.alive.view({members, 1, 1}) > 0 : Tensor();
  const auto kept = [&](const Tensor& x) { return alive.defined() ? at::where(alive, x, 0.0) : x; };
  const auto lying = [](const Tensor& x) { return x.size(1) > x.size(2) ? x.mT() : x; };
  const Tensor stack = at::empty({count, members, small, large}, in.weights.options());
  for (int64_t k = 0; k < count; ++k) {
    const size_t i = indices[static_cast<size_t>(k)];
    const Tensor g = kept(view(in.layout, in.gradient, i) * scalar_of(in, hyper_scale));
    Tensor buffer = view(in.layout, in.state.at("exp_avg"), i);
    buffer.add_(kept((g - buffer) * (1.0 - momentum)));
    stack.select(0, k).copy_(lying(at::lerp(g, buffer, momentum)));
  }
  const auto type = in.compute.defined() ? in.compute.scalar_type() : stack.scalar_type();
  const Tensor turned =
      orthogonalise(stack.view({count * members, small, large}), type).view(stack.sizes());
  for (int64_t k = 0; k < count; ++k) {
    const size_t i = indices[static_cast<size_t>(k)];
    Tensor w = view(in.layout, in.weights, i);
    const Tensor direction = turned.select(0, k).to(w.scalar_type());
    w.sub_(kept(change_of(in, i, w.size(1) > w.size(2) ? direction.mT() : direction, w)));
    if (in.compute.defined()) view(in.layout, in.compute, i).copy_(w);
  }
}

}  // namespace

std::vector<StateSpec> muon_state(const Layout& layout) {
  return adamw_state(layout);
}

void muon_matrices(const StepInput& in) {
  for (const auto& [shape, indices] : alike_matrices(in.layout))
    muon_alike(in, indices, shape.first, shape.second);
}

void muon_step(const StepInput& in) {
#ifdef RUNG_CUDA
  if (in.weights.is_cuda()) {
    muon_matrices(in);
    return adamw_others_cuda(in);
  }
#endif
  for (size_t i = 0; i < in.layout.tensors.size(); ++i)
    is_hidden_matrix(in.layout.tensors[i]) ? muon_tensor(in, i) : adamw_tensor(in, i);
}

Tensor orthogonalise(const Tensor& x, std::optional<at::ScalarType> type) {
  const bool tall = x.size(-2) > x.size(-1);
  Tensor y = tall ? x.mT() : x;
  y = y / (at::linalg_norm(y, c10::nullopt, at::IntArrayRef{-2, -1}, true) + 1e-7);
  y = y.to(type.value_or(x.scalar_type()));
  for (int i = 0; i < quintic_steps; ++i) {
    const Tensor square = at::bmm(y, y.mT());
    y = at::baddbmm(y, at::baddbmm(square, square, square, quintic_b, quintic_c), y, quintic_a,
                    1.0);
  }
  return tall ? y.mT() : y;
}

}  // namespace rung
