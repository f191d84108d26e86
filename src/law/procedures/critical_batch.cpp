// Critical batch size from steps to a fixed loss: for each model steps = a + b/B, least squares of
// log steps; the critical batch is where the data needed exceeds that of a reference batch B0 by
// the overhead o, B (a + b/B) = (1 + o) B0 (a + b/B0), so cbs = (1 + o) B0 + o b/a; then
// cbs = k x^a in model size, or in whatever column x is (tokens, loss).
// Source: Zhang et al. 2024, "How Does Critical Batch Size Scale in Pre-training?", section 2 and
// the authors' script, whose B0 = 256 and o = 0.2 are the defaults; reference = 0 measures against
// the limit of small batches: cbs = o b/a. The curve is McCandlish et al. 2018, "An Empirical Model
// of Large-Batch Training", section 2.3, with a = S_min, b = E_min.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/procedures/aliases.h"
#include "law/procedures/monomial.h"
#include "law/procedures/procedures.h"
#include "law/regression.h"

namespace rung {
namespace {

constexpr std::string_view critical_batch_source =
    "Zhang et al. 2024, section 2; McCandlish et al. 2018";
constexpr std::string_view critical_size_inputs[] = {"x"};
constexpr InputRange critical_size_design[] = {{85, 1200}};
constexpr Coefficient critical_batch_coefficients[] = {
    factor_coefficient("k", "critical batch at x = 1", 93.197),
    exponent_coefficient("a", "exponent of x", 0.46828),
};
constinit const Law critical_batch_law = {
    .name = "critical-batch.cbs",
    .formula = "cbs = k x^a",
    .source = critical_batch_source,
    .identifiable = "x varies over a decade or more",
    .inputs = critical_size_inputs,
    .coefficients = critical_batch_coefficients,
    .evaluate = evaluate_formula<Monomial<1>>,
    .target = "cbs",
    .objective = "least-squares",
    .design = critical_size_design,
    .noise = 0.05,
};
constexpr const Law* critical_batch_laws[] = {&critical_batch_law};

constexpr std::string_view size_aliases[] = {"N",          "M",          "model_size_M",
                                             "model_size", "parameters", "D"};
constexpr std::string_view steps_aliases[] = {"steps_to_goal", "S"};
constexpr RawColumn critical_batch_columns[] = {
    {.name = "x", .aliases = size_aliases},
    {.name = "B", .aliases = batch_aliases},
    {.name = "steps", .aliases = steps_aliases},
};
constexpr ProcedureSetting critical_batch_settings[] = {
    {"overhead", "data beyond the reference batch's that is accepted", 0.2},
    {"reference", "batch that the overhead is measured against; 0: the smallest possible", 256},
};

// steps = b (q + 1/B) with q = a/b: b follows from q, so one number is searched.
struct StepsCurve {
  double a = 0.0, b = 0.0, squares = 0.0;
  bool bends = false;  // both regimes are seen: q neither at 0 nor beyond the batches
};

StepsCurve fit_steps(const std::vector<double>& batch, const std::vector<double>& steps) {
  const std::vector<double> log_steps = logs_of(steps);
  const auto shift = [&](double log_q) {
    double sum = 0.0;
    for (size_t i = 0; i < batch.size(); ++i)
      sum += log_steps[i] - std::log(std::exp(log_q) + 1.0 / batch[i]);
    return sum / static_cast<double>(batch.size());
  };
  const auto squares = [&](double log_q) {
    const double log_b = shift(log_q);
    double sum = 0.0;
    for (size_t i = 0; i < batch.size(); ++i)
      sum += std::pow(log_steps[i] - log_b - std::log(std::exp(log_q) + 1.0 / batch[i]), 2);
    return sum;
  };
  const auto [least, most] = std::minmax_element(batch.begin(), batch.end());
  const double lo = -std::log(1e4 * *most), hi = -std::log(1e-4 * *least);
  const double log_q = minimise(squares, lo, hi, 128);
  const double log_b = shift(log_q);
  return {.a = std::exp(log_b + log_q),
          .b = std::exp(log_b),
          .squares = squares(log_q),
          .bends = log_q > lo + 0.1 && log_q < hi - 0.1};
}

void report_models(const std::vector<std::string>& dropped, size_t outside, size_t used,
                   Derivation& derivation) {
  if (!dropped.empty()) {
    std::string list;
    for (const std::string& text : dropped) list += (list.empty() ? "" : "; ") + text;
    derivation.diagnostics.push_back(
        {"dropped-model", Severity::warning,
         fmt::format("{} models were left out: {}.", dropped.size(), list)});
  }
  if (outside > 0)
    derivation.diagnostics.push_back(
        {"batch-outside", Severity::warning,
         fmt::format("{} of {} critical batches lie outside the measured batches.", outside,
                     used)});
  if (used < 3)
    derivation.diagnostics.push_back(
        {"too-few-models", Severity::refusal,
         fmt::format("{} models show both regimes of steps = a + b/B; cbs = k x^a needs 3. Measure "
                     "more models, or batches on both sides of the bend.",
                     used)});
}

Derivation derive_critical_batch(const RawRows& rows, const Settings& settings) {
  Derivation derivation;
  derivation.fitted.assign(rows.rows.size(), std::nan(""));
  derivation.group.assign(rows.rows.size(), -1);
  derivation.record["models"] = Json::array();
  const double overhead = settings.at("overhead"), reference = settings.at("reference");
  std::vector<double> sizes, critical;
  std::vector<std::string> dropped;
  double squares = 0.0;
  size_t outside = 0;
  const auto models = group_values(rows["x"], 1e-9);
  for (size_t g = 0; g < models.size(); ++g) {
    const std::vector<size_t>& members = models[g];
    const std::vector<double> batch = pick(rows["B"], members);
    const double size = rows["x"][members.front()];
    if (group_values(batch, 1e-9).size() < 3) {
      dropped.push_back(
          fmt::format("{} = {:.4g} (fewer than 3 batches)", rows.names.at("x"), size));
      continue;
    }
    const StepsCurve curve = fit_steps(batch, pick(rows["steps"], members));
    if (!curve.bends) {
      dropped.push_back(fmt::format("{} = {:.4g} (no bend)", rows.names.at("x"), size));
      continue;
    }
    const double cbs = (1.0 + overhead) * reference + overhead * curve.b / curve.a;
    const auto [least, most] = std::minmax_element(batch.begin(), batch.end());
    outside += cbs < *least || cbs > *most;
    sizes.push_back(size);
    critical.push_back(cbs);
    squares += curve.squares;
    derivation.freedom += static_cast<double>(members.size()) - 2.0;
    derivation.record["models"].push_back(
        {{rows.names.at("x"), size},
         {"a", curve.a},
         {"b", curve.b},
         {"cbs", cbs},
         {"rms", std::sqrt(curve.squares / static_cast<double>(members.size()))}});
    for (const size_t at : members) {
      derivation.fitted[at] = curve.a + curve.b / rows["B"][at];
      derivation.group[at] = static_cast<int>(g);
    }
  }
  derivation.noise = std::sqrt(squares / std::max(1.0, derivation.freedom));
  report_models(dropped, outside, sizes.size(), derivation);
  if (sizes.size() < 3) return derivation;
  DerivedPart part{.law = &critical_batch_law, .columns = {{"x", rows.names.at("x")}}};
  part.points.source = "critical batches";
  part.points.add(rows.names.at("x"), sizes);
  part.points.add("cbs", critical);
  derivation.parts.push_back(std::move(part));
  return derivation;
}

}  // namespace

constinit const Procedure critical_batch_procedure = {
    .name = "critical-batch",
    .formula = "steps = a + b/B per model; cbs = k x^a",
    .source = critical_batch_source,
    .identifiable = "3 or more models, each with batches well below and well above its bend",
    .columns = critical_batch_columns,
    .measured = "steps",
    .laws = critical_batch_laws,
    .settings = critical_batch_settings,
    .derive = derive_critical_batch,
};

}  // namespace rung
