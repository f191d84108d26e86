#include "optim/optimizer.h"

#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "core/nearest.h"
#include "optim/adafactor.h"
#include "optim/adam_atan2.h"
#include "optim/adam_scaled.h"
#include "optim/adamw.h"
#include "optim/muon.h"
#include "optim/schedule_free.h"
#include "optim/sgd.h"
#include "optim/shampoo.h"
#include "optim/soap.h"

namespace rung {
namespace {

constexpr std::array optimizer_table{
    Optimizer{.name = "adamw",
              .summary = "Adam with fully independent weight decay (Loshchilov & Hutter 2019)",
              .state = adamw_state,
              .step = adamw_step,
              .adam_moments = true},
    Optimizer{.name = "schedule-free-adamw",
              .summary = "Adam whose average needs no cooldown (Defazio et al. 2024)",
              .state = schedule_free_adamw_state,
              .step = schedule_free_adamw_step,
              .eval_weights = schedule_free_average,
              .constant_rate = true},
    Optimizer{.name = "schedule-free-sgd",
              .summary = "SGD whose average needs no cooldown (Defazio et al. 2024)",
              .state = schedule_free_sgd_state,
              .step = schedule_free_sgd_step,
              .eval_weights = schedule_free_average,
              .constant_rate = true},
    Optimizer{.name = "soap",
              .summary = "Adam in Shampoo's eigenbasis on hidden matrices (Vyas et al. 2024)",
              .state = soap_state,
              .step = soap_step,
              .captured = false},
    Optimizer{.name = "shampoo",
              .summary = "hidden matrices between inverse fourth roots (Gupta et al. 2018)",
              .state = shampoo_state,
              .step = shampoo_step,
              .captured = false},
    Optimizer{.name = "muon",
              .summary = "orthogonalised momentum on hidden matrices (Jordan et al. 2024)",
              .state = muon_state,
              .step = muon_step},
    Optimizer{.name = "adam-atan2",
              .summary = "Adam without epsilon: 4/pi atan2(m, sqrt(v)) (Everett et al. 2024)",
              .state = adam_atan2_state,
              .step = adam_atan2_step,
              .adam_moments = true},
    Optimizer{.name = "adam-scaled",
              .summary = "Adam times RMS(w) of the tensor (Shazeer & Stern 2018)",
              .state = adam_scaled_state,
              .step = adam_scaled_step,
              .adam_moments = true},
    Optimizer{.name = "adafactor",
              .summary = "factored second moments, times RMS(w) (Shazeer & Stern 2018)",
              .state = adafactor_state,
              .step = adafactor_step},
    Optimizer{.name = "sgd",
              .summary = "gradient descent with momentum beta1 (Polyak 1964)",
              .state = sgd_state,
              .step = sgd_step}};

}  // namespace

at::Tensor hyper_column(const StepInput& input, Hyper which) {
  return input.hyper.select(1, which).to(input.weights.scalar_type()).unsqueeze(1);
}

at::Tensor flat_part(const Layout& layout, const at::Tensor& arena, size_t index) {
  return arena.narrow(1, layout.offsets[index], layout.tensors[index].size());
}

bool is_hidden_matrix(const TensorSpec& tensor) {
  return tensor.role == Role::hidden && tensor.shape.size() == 2;
}

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
  fail_usage("[optimizer] No optimizer is called '{}'.{}", name,
             suggestion(std::string(name), names, " `rung optimizers` lists them."));
}

}  // namespace rung
