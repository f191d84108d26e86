// Gradient noise scale: the squared gradient norm at batch B is on average |G|^2 + tr(S)/B, so two
// or more batches give the simple noise scale B_noise = tr(S)/|G|^2, the second measurement of the
// critical batch; then B_noise = k x^a in x (model size, tokens, loss).
// Source: McCandlish et al. 2018, "An Empirical Model of Large-Batch Training", equation 2.9 (the
// simple noise scale) and appendix A.1; of two batches the least squares here are its equation A.2.
// Single steps' ratio is biased, so let squared norms be means over many steps, as theirs are.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/procedures/aliases.h"
#include "law/procedures/monomial.h"
#include "law/procedures/procedures.h"
#include "law/regression.h"

namespace rung {
namespace {

constexpr std::string_view noise_scale_source = "McCandlish et al. 2018, equations 2.9 and A.2";
constexpr std::string_view scale_inputs[] = {"x"};
constexpr InputRange scale_design[] = {{1e7, 1e9}};
constexpr Coefficient scale_coefficients[] = {
    factor_coefficient("k", "noise scale at x = 1", 1.0),
    exponent_coefficient("a", "exponent of x", 0.4),
};
constinit const Law scale_law = {
    .name = "noise-scale.B_noise",
    .formula = "B_noise = k x^a",
    .source = noise_scale_source,
    .identifiable = "x varies over a decade or more",
    .inputs = scale_inputs,
    .coefficients = scale_coefficients,
    .evaluate = evaluate_formula<Monomial<1>>,
    .target = "B_noise",
    .objective = "least-squares",
    .design = scale_design,
    .noise = 0.1,
};
constexpr const Law* noise_scale_laws[] = {&scale_law};

constexpr std::string_view x_aliases[] = {"N", "D", "L", "step"};
constexpr std::string_view norm_aliases[] = {"grad_norm_squared", "grad_norm2", "squared_norm"};
constexpr RawColumn noise_scale_columns[] = {
    {.name = "x", .aliases = x_aliases},
    {.name = "B", .aliases = batch_aliases},
    {.name = "G2", .aliases = norm_aliases},
};

// |G|^2 and tr(S) by least squares of relative residuals (a squared norm's deviation grows with
// it), reweighted by the fitted values.
bool fit_norms(const std::vector<double>& batch, const std::vector<double>& squared, double& g2,
               double& trace) {
  Eigen::MatrixXd design(batch.size(), 2);
  std::vector<double> weight(batch.size());
  for (size_t i = 0; i < batch.size(); ++i) {
    design.row(i) << 1.0, 1.0 / batch[i];
    weight[i] = 1.0 / (squared[i] * squared[i]);
  }
  for (int round = 0; round < 4; ++round) {
    const LinearFit fit = least_squares(design, squared, weight);
    if (!fit.determined) return false;
    g2 = fit.coefficients[0];
    trace = fit.coefficients[1];
    if (!(g2 > 0.0 && trace > 0.0)) return false;
    for (size_t i = 0; i < batch.size(); ++i) weight[i] = std::pow(g2 + trace / batch[i], -2);
  }
  return true;
}

Derivation derive_noise_scale(const RawRows& rows, const Settings&) {
  Derivation derivation;
  derivation.fitted.assign(rows.rows.size(), std::nan(""));
  derivation.group.assign(rows.rows.size(), -1);
  derivation.record["groups"] = Json::array();
  std::vector<double> places, scales;
  double squares = 0.0;
  size_t dropped = 0;
  const auto groups = group_values(rows["x"], 1e-9);
  for (size_t g = 0; g < groups.size(); ++g) {
    const std::vector<size_t>& members = groups[g];
    double g2 = 0.0, trace = 0.0;
    if (!fit_norms(pick(rows["B"], members), pick(rows["G2"], members), g2, trace)) {
      ++dropped;
      continue;
    }
    places.push_back(rows["x"][members.front()]);
    scales.push_back(trace / g2);
    derivation.freedom += static_cast<double>(members.size()) - 2.0;
    derivation.record["groups"].push_back({{rows.names.at("x"), places.back()},
                                           {"gradient_squared", g2},
                                           {"noise_trace", trace},
                                           {"B_noise", scales.back()}});
    for (const size_t at : members) {
      derivation.fitted[at] = g2 + trace / rows["B"][at];
      derivation.group[at] = static_cast<int>(g);
      squares += std::pow(std::log(rows["G2"][at] / derivation.fitted[at]), 2);
    }
  }
  // Two batches a group fit exactly: their noise is unknown, and only the groups' scatter speaks.
  derivation.noise = std::sqrt(squares / std::max(1.0, derivation.freedom));
  if (dropped > 0)
    derivation.diagnostics.push_back(
        {"dropped-group", Severity::warning,
         fmt::format(
             "{} of {} groups give no positive |G|^2 and tr(S): one batch size, or too much "
             "noise.",
             dropped, groups.size())});
  if (places.size() < 3) {
    derivation.diagnostics.push_back(
        {"too-few-groups", Severity::refusal,
         fmt::format("{} groups give a noise scale; B_noise = k x^a needs 3.", places.size())});
    return derivation;
  }
  DerivedPart part{.law = &scale_law, .columns = {{"x", rows.names.at("x")}}};
  part.points.source = "noise scales";
  part.points.add(rows.names.at("x"), places);
  part.points.add("B_noise", scales);
  derivation.parts.push_back(std::move(part));
  return derivation;
}

}  // namespace

constinit const Procedure noise_scale_procedure = {
    .name = "noise-scale",
    .formula = "B_noise = tr(S)/|G|^2 from |G_B|^2 = |G|^2 + tr(S)/B; B_noise = k x^a",
    .source = noise_scale_source,
    .identifiable = "3 or more values of x, each with 2 or more batches far apart",
    .columns = noise_scale_columns,
    .measured = "G2",
    .laws = noise_scale_laws,
    .derive = derive_noise_scale,
};

}  // namespace rung
