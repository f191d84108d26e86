#include "scaling/parametrisation.h"

#include <cmath>

#include "config/pattern.h"
#include "core/error.h"
#include "core/nearest.h"

namespace rung {

extern const Parametrisation standard_parametrisation, ntk_parametrisation, mup_parametrisation,
    mup_table3_parametrisation, mup_table9_parametrisation, mfp_parametrisation,
    unit_scaling_parametrisation, umup_parametrisation, depth_mup_parametrisation,
    completep_parametrisation, completedp_parametrisation, mus_parametrisation,
    supar_parametrisation, spectral_parametrisation;

namespace {

// One line a rule.
const std::array table = {
    standard_parametrisation,     ntk_parametrisation,        mup_parametrisation,
    mup_table3_parametrisation,   mup_table9_parametrisation, mfp_parametrisation,
    unit_scaling_parametrisation, umup_parametrisation,       depth_mup_parametrisation,
    completep_parametrisation,    completedp_parametrisation, mus_parametrisation,
    supar_parametrisation,        spectral_parametrisation};

bool close(double a, double b, double tolerance) {
  return std::abs(a - b) <= tolerance * std::max(std::abs(a), std::abs(b));
}

}  // namespace

std::span<const Parametrisation> parametrisations() {
  return table;
}

const Parametrisation& find_parametrisation(std::string_view name) {
  std::vector<std::string> names;
  for (const Parametrisation& p : table) {
    if (p.name == name) return p;
    names.emplace_back(p.name);
  }
  fail_usage(
      "[parametrisation] Unknown name. Received {}.{}", name,
      suggestion(std::string(name), names, fmt::format(" Known: {}.", fmt::join(names, ", "))));
}

Dims dims_of(const RunConfig& config, int64_t vocabulary) {
  const ModelConfig& model = config.model;
  Dims dims;
  dims.width = model.width;
  dims.base_width = config.base_width;
  dims.depth = path_depth(model);
  dims.base_depth = config.base_depth;
  dims.vocabulary = vocabulary;
  dims.context = model.context;
  dims.head_dim = model.head_dim > 0 ? model.head_dim : model.width / 4;
  dims.base_head_dim =
      model.head_dim > 0 ? model.head_dim : std::max<int64_t>(1, config.base_width / 4);
  dims.batch_tokens = config.train.batch_tokens;
  dims.tokens = config.train.tokens;
  dims.base_batch_tokens = config.base_batch_tokens;
  dims.base_tokens = config.base_tokens;
  dims.density = model.density;
  dims.constraint = config.constraint;
  dims.conventions = {.update = update_of(config.train.optimizer),
                      .decay = decay_rule_of(config.train.decay_rule),
                      .constant_epsilon = config.train.epsilon_rule == "constant",
                      .lr_embedding = config.train.lr_embedding,
                      .lr_hidden = config.train.lr_hidden,
                      .lr_readout = config.train.lr_readout};
  return dims;
}

namespace {

// C is divided by this power of the shift.
double shift_power(Update update) {
  return update == Update::sgd ? 2.0 : update == Update::parameter_scaled ? 0.0 : 1.0;
}

}  // namespace

Factors shifted(const Factors& factors, double t, Update update) {
  Factors f = factors;
  f.A *= t;
  f.A_input *= t;
  f.A_weight *= t;
  f.epsilon *= t;
  f.B /= t;
  f.C /= std::pow(t, shift_power(update));
  return f;
}

bool equivalent(const Factors& a, const Factors& b, double tolerance, Update update) {
  const double power = shift_power(update);
  const double t = b.A / a.A;
  return close(a.B, b.B * t, tolerance) && close(a.C, b.C * std::pow(t, power), tolerance);
}

}  // namespace rung
