#include "optim/adafactor.h"

#include <ATen/ops/pow.h>
#include <ATen/ops/rsqrt.h>

#include "optim/elementwise.h"

namespace rung {
namespace {

using at::Tensor;

constexpr double decay_power = -0.8;
constexpr double smallest_square = 1e-30;  // epsilon_1 of the paper
constexpr double smallest_weight = 1e-3;   // epsilon_2: tensors that start at 0 must leave it
constexpr double largest_update = 1.0;     // d: RMS of an update before the weight's size

std::string name_of(const char* what, size_t index) {
  return fmt::format("{}.{}", what, index);
}

// Estimate of the second moments of g, [P, ...] as g.
Tensor second_moments(const StepInput& in, size_t index, const Tensor& g, const Tensor& fresh) {
  const Tensor squares = g * g;
  const auto advance = [&](const char* what, const Tensor& now) {
    Tensor kept = in.state.at(name_of(what, index)).view(now.sizes());
    kept.add_((now - kept) * fresh.view({-1, 1}));
    return kept;
  };
  if (g.dim() != 3) return advance("square", squares.flatten(1)).view(g.sizes());
  const Tensor rows = advance("rows", squares.mean({2})),
               columns = advance("columns", squares.mean({1}));
  return rows.unsqueeze(2) * columns.unsqueeze(1) /
         rows.mean({1}).clamp_min(smallest_square).view({-1, 1, 1});
}

Tensor root_mean_square(const Tensor& x) {  // of every member, [P, 1]
  return x.square().mean({1}, true).sqrt();
}

void adafactor_tensors(const StepInput& in) {
  Tensor steps = in.state.at("steps");
  steps.add_(1.0);
  const Tensor fresh = at::pow(steps, decay_power);  // 1 - beta2 of this step
  for (size_t i = 0; i < in.layout.tensors.size(); ++i) {
    const auto direction = [&](const auto& part, const Tensor& g, const Factors&) {
      std::vector<int64_t> shape{g.size(0)};
      for (const int64_t size : in.layout.tensors[i].shape) shape.push_back(size);
      const Tensor shaped = g.view(shape);
      const Tensor moments = second_moments(in, i, shaped, fresh);
      const Tensor u = (shaped * at::rsqrt(moments.clamp_min(smallest_square))).flatten(1);
      const Tensor clip = (root_mean_square(u) / largest_update).clamp_min(1.0);
      return u / clip * root_mean_square(part(in.weights)).clamp_min(smallest_weight);
    };
    flat_part(in.layout, in.weights, i).sub_(update_of(in, i, direction));
  }
}

}  // namespace

std::vector<StateSpec> adafactor_state(const Layout& layout) {
  std::vector<StateSpec> specs{{"steps", 1}};
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    const std::vector<int64_t>& shape = layout.tensors[i].shape;
    if (shape.size() == 2) {
      specs.push_back({name_of("rows", i), shape[0]});
      specs.push_back({name_of("columns", i), shape[1]});
    } else {
      specs.push_back({name_of("square", i), layout.tensors[i].size()});
    }
  }
  return specs;
}

void adafactor_step(const StepInput& in) {
  step_alive(in, [&] { adafactor_tensors(in); });
}

}  // namespace rung
