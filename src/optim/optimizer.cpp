#include "optim/optimizer.h"

#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "core/nearest.h"
#include "optim/adamw.h"

namespace rung {
namespace {

constexpr std::array optimizer_table{
    Optimizer{"adamw", "Adam with fully independent weight decay (Loshchilov & Hutter 2019)",
              adamw_state, adamw_step}};

}  // namespace

at::Tensor make_slots(const Layout& layout) {
  constexpr int64_t unit = 128;
  at::Tensor slots = at::zeros({layout.stride / unit, 4}, at::kFloat);
  float* row = slots.mutable_data_ptr<float>();
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    const Factors& f = layout.factors[i];
    const int64_t begin = layout.offsets[i] / unit;
    const int64_t count = (layout.tensors[i].size() + unit - 1) / unit;
    for (int64_t k = begin; k < begin + count; ++k) {
      row[4 * k] = static_cast<float>(f.C);
      row[4 * k + 1] = static_cast<float>(f.decay);
      row[4 * k + 2] = static_cast<float>(f.epsilon);
    }
  }
  return slots;
}

std::span<const Optimizer> optimizers() {
  return optimizer_table;
}

const Optimizer& find_optimizer(std::string_view name) {
  std::vector<std::string> names;
  for (const Optimizer& optimizer : optimizer_table) {
    if (optimizer.name == name) return optimizer;
    names.emplace_back(optimizer.name);
  }
  fail_usage("[optimizer] No optimizer is called '{}'. Did you mean '{}'?", name,
             nearest(std::string(name), names));
}

}  // namespace rung
