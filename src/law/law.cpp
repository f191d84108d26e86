#include "law/law.h"

#include <array>
#include <cmath>

#include "core/error.h"
#include "core/nearest.h"
#include "law/laws/laws.h"
#include "law/procedure.h"
#include "law/user_law.h"

namespace rung {
namespace {

// clang-format off
// The table: one line a law.
constexpr std::array law_table = {
    &chinchilla_law,
    &power_law,
    &broken_power_law,
    &kaplan_law,
    &kaplan_size_law,
    &kaplan_data_law,
    &kaplan_compute_law,
    &kaplan_chinchilla_law,
    &warmup_law,
    &inference_aware_law,
    &overtraining_law,
    &data_constrained_law,
    &width_depth_law,
    &width_depth_size_law,
    &levine_law,
    &chinchilla_gamma_law,
    &distillation_law,
    &kbit_law,
    &densing_law,
    &precision_law,
    &ptq_law,
    &routing_law,
    &fine_grained_moe_law,
    &joint_moe_law,
    &upcycling_law,
    &rectified_law,
    &sigmoid_law,
    &data_mixing_law,
    &annealing_law,
    &multi_power_law,
};

// Families of laws made at run time: one line a family.
constexpr std::array law_family_table = {
    &data_mixing_family,
    &formula_family,
};
// clang-format on

}  // namespace

std::span<const Law* const> laws() {
  return law_table;
}

std::span<const LawFamily* const> law_families() {
  return law_family_table;
}

const Law& find_law(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Law* law : laws()) {
    if (law->name == name) return *law;
    names.push_back(law->name);
  }
  if (const Law* law = find_procedure_law(name)) return *law;
  for (const LawFamily* family : law_families())
    if (family->reads(name)) return family->make(name);
  for (const Procedure* procedure : procedures()) {
    if (procedure->name == name)
      fail_usage(
          "[law] A law with one formula is needed here. Received the procedure {}; its laws "
          "go by {} and the like.",
          name, procedure->laws.front()->name);
    names.push_back(procedure->name);
  }
  fail_usage("[law] Unknown law. Received {}. The nearest is {}; `rung laws` lists all.", name,
             nearest_name(name, names));
}

int find_coefficient(const Law& law, std::string_view name) {
  std::vector<std::string_view> names;
  for (size_t i = 0; i < law.coefficients.size(); ++i) {
    if (law.coefficients[i].name == name) return static_cast<int>(i);
    names.push_back(law.coefficients[i].name);
  }
  fail_usage("[law] {} has no such coefficient. Received {}. The nearest is {}.", law.name, name,
             nearest_name(name, names));
}

double evaluate_law(const Law& law, std::span<const double> c, std::span<const double> values) {
  std::array<double, 2 * max_inputs> inputs{};
  const size_t k = law.inputs.size();
  for (size_t i = 0; i < k; ++i) {
    inputs[i] = values[i];
    inputs[k + i] = std::log(values[i]);
  }
  double loss = 0.0;
  law.evaluate(law, c.data(), inputs.data(), 1, 0, &loss);
  return loss;
}

}  // namespace rung
