// Vocabulary, approach 1: the rows that reach a lower loss than every cheaper one give the optimal
// non-vocabulary parameters, vocabulary parameters and characters at each budget F; then
// Nnv = k_Nnv F^0.5, Nv = k_Nv F^alpha, H = k_H F^0.5.
// Source: Tao et al. 2024, "Scaling Laws with Vocabulary: Larger Models Deserve Larger
// Vocabularies", section 4.1. The authors choose among their starts by relative squared error, not
// by the objective; here the objective decides.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "law/procedures/monomial.h"
#include "law/procedures/procedures.h"
#include "law/procedures/vocabulary.h"
#include "law/regression.h"

namespace rung {
namespace {

constexpr std::string_view vocabulary_1_source = "Tao et al. 2024, section 4.1 (approach 1)";

struct SquareRoot {
  static constexpr int coefficients = 1, inputs = 1;
  static auto loss(const auto& c, const Inputs& x) { return std::get<0>(c) * std::sqrt(x[0]); }
};

constexpr std::string_view budget_inputs[] = {"F"};
constexpr InputRange budget_design[] = {{1e16, 1e21}};
constexpr Coefficient body_coefficients[] = {
    factor_coefficient("k_Nnv", "non-vocabulary parameters at one FLOP", 0.083355)};
constexpr Coefficient vocabulary_coefficients[] = {
    factor_coefficient("k_Nv", "vocabulary parameters at one FLOP", 0.08914),
    exponent_coefficient("alpha", "exponent of the vocabulary parameters", 0.43572)};
constexpr Coefficient character_coefficients[] = {
    factor_coefficient("k_H", "characters at one FLOP", 6.42)};

constexpr Law budget_law(std::string_view name, std::string_view formula, std::string_view target,
                         std::span<const Coefficient> coefficients, Evaluate evaluate) {
  return {.name = name,
          .formula = formula,
          .source = vocabulary_1_source,
          .identifiable = "budgets over a decade or more",
          .inputs = budget_inputs,
          .coefficients = coefficients,
          .evaluate = evaluate,
          .target = target,
          .objective = "huber-log",
          .design = budget_design,
          .noise = 0.2};
}
constinit const Law body_law = budget_law("vocabulary-1.Nnv", "Nnv = k_Nnv F^0.5", "Nnv",
                                          body_coefficients, evaluate_formula<SquareRoot>);
constinit const Law vocabulary_law =
    budget_law("vocabulary-1.Nv", "Nv = k_Nv F^alpha", "Nv", vocabulary_coefficients,
               evaluate_formula<Monomial<1>>);
constinit const Law character_law = budget_law(
    "vocabulary-1.H", "H = k_H F^0.5", "H", character_coefficients, evaluate_formula<SquareRoot>);
constexpr const Law* vocabulary_laws[] = {&vocabulary_law, &body_law, &character_law};

// The rows that are lower than every cheaper one, cheapest first.
std::vector<size_t> records_of(const std::vector<double>& flops, const std::vector<double>& loss) {
  std::vector<size_t> order(flops.size()), records;
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return flops[a] < flops[b]; });
  for (const size_t at : order)
    if (records.empty() || loss[at] < loss[records.back()]) records.push_back(at);
  return records;
}

Derivation derive_vocabulary_1(const RawRows& rows, const Settings& settings) {
  Derivation derivation{.redraw = Redraw::groups};
  const Compression f = compression_of(settings);
  check_units(rows, f, derivation);
  const size_t n = rows.rows.size();
  std::vector<double> flops, body = rows["Nnv"], vocabulary, characters = rows["H"];
  std::map<std::pair<double, double>, int> curves;
  for (size_t i = 0; i < n; ++i) {
    const double v = rows["V"][i];
    vocabulary.push_back(v * (rows.has("d") ? rows["d"][i] : width_of(body[i])));
    flops.push_back(6.0 * (body[i] + vocabulary[i]) * characters[i] * f(v));
    const auto [curve, fresh] = curves.emplace(std::pair(body[i], v), curves.size());
    derivation.group.push_back(curve->second);
  }
  const std::vector<size_t> records = records_of(flops, rows["L_u"]);
  derivation.record["curves"] = curves.size();
  derivation.record["records"] = records.size();
  if (records.size() < 4)
    derivation.diagnostics.push_back(
        {"too-few-records", Severity::refusal,
         fmt::format("{} rows are lower than every cheaper one; the laws need 4.",
                     records.size())});
  for (const Diagnostic& d : derivation.diagnostics)
    if (d.severity == Severity::refusal) return derivation;
  const auto add = [&](const Law& law, const std::vector<double>& values) {
    DerivedPart part{.law = &law};
    part.points.source = "lowest losses";
    part.points.add("F", pick(flops, records));
    part.points.add(std::string(law.target), pick(values, records));
    derivation.parts.push_back(std::move(part));
  };
  add(vocabulary_law, vocabulary);
  add(body_law, body);
  add(character_law, characters);
  return derivation;
}

}  // namespace

constinit const Procedure vocabulary_1_procedure = {
    .name = "vocabulary-1",
    .formula = "Nv = k_Nv F^alpha, Nnv = k_Nnv F^0.5, H = k_H F^0.5 through the lowest rows",
    .source = vocabulary_1_source,
    .identifiable =
        "checkpoints of several sizes with several vocabularies each, whose losses "
        "cross over a decade of FLOPs",
    .columns = vocabulary_columns,
    .measured = "L_u",
    .laws = vocabulary_laws,
    .settings = compression_settings,
    .derive = derive_vocabulary_1,
};

}  // namespace rung
