#include "plan/hyperparameters.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "core/error.h"

namespace rung {
namespace {

// Columns that critical batches and noise scales are measured against, in units of `scale`.
struct Meaning {
  std::string_view column;
  char what;  // N, D or L
  double scale;
};
constexpr std::array meanings = {
    Meaning{"N", 'N', 1.0},
    Meaning{"parameters", 'N', 1.0},
    Meaning{"params", 'N', 1.0},
    Meaning{"M", 'N', 1e6},
    Meaning{"model_size_M", 'N', 1e6},
    Meaning{"D", 'D', 1.0},
    Meaning{"tokens", 'D', 1.0},
    Meaning{"L", 'L', 1.0},
    Meaning{"loss", 'L', 1.0},
};

std::optional<double> value_of(const std::string& column, const PlanOptions& options,
                               const Plan& plan) {
  if (const auto given = options.other.find(column); given != options.other.end())
    return given->second;
  for (const Meaning& meaning : meanings)
    if (meaning.column == column)
      return (meaning.what == 'N'   ? plan.N
              : meaning.what == 'D' ? plan.D
                                    : plan.prediction.loss) /
             meaning.scale;
  return std::nullopt;
}

std::string unit_of(std::string_view target) {
  if (target == "bs") return "tokens";
  if (target == "cbs" || target == "B_noise") return "in the unit of the fit's batches";
  return "";
}

void advise(const Known& known, const PlanOptions& options, Plan& plan, std::vector<Advice>& list) {
  const Fit& fit = *known.fit;
  Point at;
  for (size_t i = 0; i < fit.inputs.size(); ++i) {
    const std::string& input = fit.inputs[i];
    const auto value = value_of(input, options, plan);
    if (!value) {
      plan.remarks.push_back(fmt::format("{} of {} is read against {}. Give it: --with {}=VALUE.",
                                         fit.law->target, known.name(), input, input));
      return;
    }
    at[fit.ranges.contains(input) ? input : std::string(fit.law->inputs[i])] = *value;
  }
  const Prediction p = predict(fit, at, options.level);
  Advice advice{.name = std::string(fit.law->target),
                .value = p.loss,
                .lo = p.lo,
                .hi = p.hi,
                .source = known.name(),
                .note = unit_of(fit.law->target)};
  for (const auto& [name, factor] : p.outside)
    if (factor > 10.0 && std::find(fit.inputs.begin(), fit.inputs.end(), name) != fit.inputs.end())
      advice.note += fmt::format("{}{} lies {:.3g} times outside the data",
                                 advice.note.empty() ? "" : "; ", name, factor);
  list.push_back(std::move(advice));
}

}  // namespace

void advise_hyperparameters(const Knowledge& knowledge, const PlanOptions& options, Plan& plan) {
  for (const Known& known : knowledge.batches) advise(known, options, plan, plan.batch);
  for (const Known& known : knowledge.rates) advise(known, options, plan, plan.lr);
  if (knowledge.batches.empty()) plan.unknown.push_back("batch");
  if (knowledge.rates.empty()) plan.unknown.push_back("learning rate");
}

}  // namespace rung
