// AdamW's steps on moments of some kind, over an arena of tensors of odd sizes.
#pragma once
#include <map>

#include "optim/adamw.h"
#include "optim/moments.h"
#include "support/twins.h"

namespace rung::test {

// Offsets leave padding behind each tensor; factors differ.
inline Layout odd_layout() {
  Layout layout;
  for (const int64_t size : {1, 37, 128, 300}) {
    layout.tensors.push_back({.name = "t" + std::to_string(size), .shape = {size}});
    Factors f;
    f.C = 0.25 + 1.0 / static_cast<double>(size);
    f.decay = 1.0 + 0.01 * static_cast<double>(size);
    f.epsilon = 1.5;
    layout.factors.push_back(f);
    layout.offsets.push_back(layout.stride);
    layout.stride += (size + 127) / 128 * 128;
  }
  layout.trained = layout.stride;
  return layout;
}

// Numbers of normal size in the tensors and zero between them.
inline Tensor in_tensors(const Layout& layout, int64_t members, uint64_t seed) {
  const Tensor all = normal({members, layout.stride}, seed);
  Tensor kept = at::zeros_like(all);
  for (size_t i = 0; i < layout.tensors.size(); ++i)
    flat_part(layout, kept, i).copy_(flat_part(layout, all, i));
  return kept;
}

struct MomentRun {
  Layout layout = odd_layout();
  std::string moments;
  bool drawn = true;
  Tensor weights;  // [P, n]
  std::map<std::string, Tensor> state;
  Tensor alive, compute;  // may be undefined

  MomentRun(std::string kind, bool draws, int64_t members, at::Device device = at::Device(at::kCPU),
            at::ScalarType type = at::kFloat)
      : moments(std::move(kind)), drawn(draws) {
    weights = in_tensors(layout, members, 1).to(device, type);
    for (const StateSpec& s : states_of(find_optimizer("adamw"), layout, moments))
      state[s.name] = at::zeros({members, s.size}, weights.options().dtype(s.type.value_or(type)));
  }
  // Step t of gradients that are the same in every run; members' rates and keys differ.
  void step(void (*adamw)(const StepInput&), int t, double beta2 = 0.98) {
    const int64_t members = weights.size(0);
    const Tensor gradient =
        in_tensors(layout, members, static_cast<uint64_t>(100 + t)) * std::pow(10.0, t % 3 - 2);
    Tensor hyper = at::zeros({members, hyper_count}, at::kDouble);
    Tensor keys = at::zeros({members}, at::kLong);
    for (int64_t m = 0; m < members; ++m) {
      const double row[] = {
          0.01 * static_cast<double>(m + 1), 0.001, 0.9, beta2, 1e-8, 1.0 - std::pow(0.9, t),
          1.0 - std::pow(beta2, t),          0.7};
      std::copy_n(row, 8, hyper.mutable_data_ptr<double>() + m * hyper_count);
      keys.mutable_data_ptr<int64_t>()[m] = (m + 1) * 1'000'003 * t;
    }
    StepInput in{layout, weights, gradient.to(weights.options()), state,
                 hyper.to(weights.options())};
    in.alive = alive;
    in.compute = compute;
    if (drawn) in.keys = keys.to(weights.device());
    adamw(in);
  }
  // The moments as numbers, [P, n].
  Tensor first() const {
    const Tensor m = state.at(first_moment).cpu().to(at::kDouble);
    if (!state.contains(moment_scales)) return m;
    const Tensor scale = state.at(moment_scales).cpu().to(at::kDouble).unsqueeze(2);
    return (m.view({m.size(0), -1, moment_block}) * scale).view(m.sizes());
  }
  Tensor second() const { return state.at(second_moment).cpu().to(at::kDouble); }
};

}  // namespace rung::test
