// What a run adds to any rule's factors: the optimizer's kind of step, decay and epsilon rules, and
// tuned constants by role.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/nearest.h"
#include "scaling/parametrisation.h"

namespace rung {
namespace {

struct OptimizerUpdate {
  std::string_view optimizer;
  Update update;
};
constexpr std::array updates = {OptimizerUpdate{"adamw", Update::adam},
                                OptimizerUpdate{"adam-atan2", Update::adam},
                                OptimizerUpdate{"schedule-free-adamw", Update::adam},
                                OptimizerUpdate{"soap", Update::adam},
                                OptimizerUpdate{"sgd", Update::sgd},
                                OptimizerUpdate{"schedule-free-sgd", Update::sgd},
                                OptimizerUpdate{"adafactor", Update::parameter_scaled},
                                OptimizerUpdate{"adam-scaled", Update::parameter_scaled},
                                OptimizerUpdate{"muon", Update::matrix},
                                OptimizerUpdate{"shampoo", Update::matrix}};

struct NamedDecay {
  std::string_view name;
  DecayRule rule;
};
constexpr std::array decays = {
    NamedDecay{"independent", DecayRule::independent}, NamedDecay{"coupled", DecayRule::coupled},
    NamedDecay{"width", DecayRule::width}, NamedDecay{"timescale", DecayRule::timescale}};

double tuned_constant(Role role, const Conventions& c) {
  switch (role) {
    case Role::embedding:
    case Role::tied:
    case Role::gain:
    case Role::bias:
    case Role::channel:
      return c.lr_embedding;
    case Role::readout:
      return c.lr_readout;
    case Role::hidden:
    case Role::router:
    case Role::lora_a:
    case Role::lora_b:
      return c.lr_hidden;
  }
  return 1.0;
}

}  // namespace

Update update_of(std::string_view optimizer) {
  for (const OptimizerUpdate& known : updates)
    if (known.optimizer == optimizer) return known.update;
  std::vector<std::string_view> names;
  for (const OptimizerUpdate& known : updates) names.push_back(known.optimizer);
  fail_usage("[optimizer] No optimizer is called '{}'.{}", optimizer,
             suggestion(std::string(optimizer), {names.begin(), names.end()},
                        fmt::format(" Known are {}.", fmt::join(names, ", "))));
}

DecayRule decay_rule_of(std::string_view name) {
  for (const NamedDecay& known : decays)
    if (known.name == name) return known.rule;
  fail_usage(
      "[parametrisation] train.decay_rule is independent, coupled, width or timescale. Received "
      "{}.",
      name);
}

// A matrix update has spectral norm 1, so that its effect does not grow with the fan_in: C =
// sqrt(max(1, fan_out / fan_in)) / A at every width and depth (Jordan et al. 2024; the spectral
// condition of arXiv 2310.17813 has no max, a constant while shapes keep their proportions). Adam's
// C would scale it twice.
Factors complete_factors(const Parametrisation& rule, const TensorSpec& tensor, const Dims& dims,
                         std::string_view alignment) {
  const Conventions& c = dims.conventions;
  Factors f = rule.factors(tensor, dims, alignment);
  if (c.update == Update::matrix && tensor.role == Role::hidden)
    f.C = std::sqrt(std::max(
              1.0, static_cast<double>(tensor.fan_out) / static_cast<double>(tensor.fan_in))) /
          f.A;
  f.C *= tuned_constant(tensor.role, c);
  if (c.decay == DecayRule::coupled) f.decay *= f.C;
  if (c.decay == DecayRule::width && tensor.role == Role::hidden)
    f.decay *= static_cast<double>(dims.base_width) / static_cast<double>(dims.width);
  if (!tensor.decays) f.decay = 0.0;
  if (c.constant_epsilon) f.epsilon = 1.0;
  return f;
}

// Weights that lose a share decay of themselves in each step average the updates of 1 / decay
// steps.
double peak_decay(const TrainConfig& train) {
  switch (decay_rule_of(train.decay_rule)) {
    case DecayRule::coupled:
      return train.weight_decay * train.lr;
    case DecayRule::timescale:
      return train.weight_decay * static_cast<double>(train.batch_tokens) /
             static_cast<double>(train.tokens);
    case DecayRule::independent:
    case DecayRule::width:
      return train.weight_decay;
  }
  return train.weight_decay;
}

void refuse_unmet(const RunConfig& config) {
  const Parametrisation& rule = find_parametrisation(config.parametrisation);
  const std::string lack = rule.unmet != nullptr ? rule.unmet(config) : std::string();
  if (!lack.empty())
    refuse("[{}] The decoder has no {}. `rung audit` prints the rule's factors in any case.",
           rule.name, lack);
  if (config.model.density < 1.0 && rule.name != "supar")
    refuse(
        "[{}] Only supar has factors for sparse matrices. Received model.density = {}. Set "
        "parametrisation=supar or model.density=1.",
        rule.name, config.model.density);
}

}  // namespace rung
