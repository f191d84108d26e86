#include "scaling/parametrisation.h"

#include <cmath>

#include "core/error.h"
#include "core/nearest.h"

namespace rung {

extern const Parametrisation standard_parametrisation, mup_parametrisation, umup_parametrisation,
    completep_parametrisation;

namespace {

// One line a rule.
const std::array table = {standard_parametrisation, mup_parametrisation, umup_parametrisation,
                          completep_parametrisation};

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
  const std::string near = nearest(std::string(name), names);
  fail_usage("[parametrisation] Unknown name. Received {}. {}", name,
             near.empty() ? fmt::format("Known: {}.", fmt::join(names, ", "))
                          : fmt::format("Did you mean {}?", near));
}

Dims dims_of(const RunConfig& config, int64_t vocabulary) {
  const ModelConfig& model = config.model;
  Dims dims;
  dims.width = model.width;
  dims.base_width = config.base_width;
  dims.depth = model.depth;
  dims.base_depth = config.base_depth;
  dims.vocabulary = vocabulary;
  dims.context = model.context;
  dims.head_dim = model.head_dim > 0 ? model.head_dim : model.width / 4;
  dims.base_head_dim =
      model.head_dim > 0 ? model.head_dim : std::max<int64_t>(1, config.base_width / 4);
  dims.batch_tokens = config.train.batch_tokens;
  dims.tokens = config.train.tokens;
  return dims;
}

Factors shifted(const Factors& factors, double t) {
  Factors f = factors;
  f.A *= t;
  f.A_input *= t;
  f.A_weight *= t;
  f.epsilon *= t;
  f.B /= t;
  f.C /= t;
  return f;
}

bool equivalent(const Factors& a, const Factors& b, double tolerance) {
  return close(a.A * a.B, b.A * b.B, tolerance) && close(a.A * a.C, b.A * b.C, tolerance) &&
         close(a.B * b.C, b.B * a.C, tolerance);
}

}  // namespace rung
