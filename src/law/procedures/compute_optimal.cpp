#include "law/procedures/compute_optimal.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/laws/laws.h"
#include "law/regression.h"

namespace rung {
namespace {

// The exact optimum of L = E + A/N^alpha + B/D^beta under C = 6 N D.
// Source: Hoffmann et al. 2022, equation 4.
struct ExactOptimum {
  double G, a;
  explicit ExactOptimum(const std::vector<double>& c)
      : G(std::pow(c[3] * c[1] / (c[4] * c[2]), 1.0 / (c[3] + c[4]))), a(c[4] / (c[3] + c[4])) {}
  double size(double flops) const { return G * std::pow(flops / 6.0, a); }
};

double evaluate_at(const Fit& fit, double flops) {
  return evaluate_law(*fit.law, fit.values(), std::vector{flops});
}

}  // namespace

std::vector<std::vector<size_t>> budgets_of(const RawRows& rows, const Settings& settings) {
  if (rows.has("budget")) return group_values(rows["budget"], 0.0);
  return group_densest(rows["C"], settings.at("tolerance"));
}

void report_budgets(const std::vector<std::string>& dropped, size_t used, Derivation& derivation) {
  if (!dropped.empty()) {
    std::string list;
    for (size_t i = 0; i < std::min<size_t>(dropped.size(), 6); ++i)
      list += (list.empty() ? "" : "; ") + dropped[i];
    derivation.diagnostics.push_back({"dropped-budget", Severity::warning,
                                      fmt::format("{} budgets were left out: {}{}.", dropped.size(),
                                                  list, dropped.size() > 6 ? "; ..." : "")});
  }
  if (used < 3)
    derivation.diagnostics.push_back(
        {"too-few-budgets", Severity::refusal,
         fmt::format("{} budgets have an interior minimum; N_opt = k C^a needs 3. Add budgets, or "
                     "sizes on both sides of each minimum.",
                     used)});
}

std::vector<DerivedPart> optimum_parts(std::span<const Law* const> laws,
                                       const std::vector<OptimumAt>& optima, bool weighted) {
  std::vector<DerivedPart> parts;
  const auto column = [&](auto member) {
    std::vector<double> values;
    for (const OptimumAt& at : optima) values.push_back(at.*member);
    return values;
  };
  const auto add = [&](size_t law, auto value, auto weight) {
    DerivedPart part{.law = laws[law]};
    part.points.source = std::string(laws[law]->name);
    part.points.add("C", column(&OptimumAt::flops));
    part.points.add(std::string(laws[law]->target), column(value));
    if (weighted) part.points.add("weight", column(weight));
    parts.push_back(std::move(part));
  };
  add(0, &OptimumAt::size, &OptimumAt::size_weight);
  add(1, &OptimumAt::tokens, &OptimumAt::tokens_weight);
  add(2, &OptimumAt::loss, &OptimumAt::loss_weight);
  return parts;
}

void record_curves(const RawRows& rows, const Settings& settings, const BudgetCurveOf& curve_of,
                   Fit& fit) {
  constexpr int curve_points = 24;
  Json curves = Json::array();
  for (const std::vector<size_t>& members : budgets_of(rows, settings)) {
    const std::vector<double> sizes = pick(rows["N"], members), loss = pick(rows["L"], members);
    Json points = Json::array(), line = Json::array();
    for (size_t i = 0; i < sizes.size(); ++i) points.push_back({sizes[i], loss[i]});
    const auto [least, most] = std::minmax_element(sizes.begin(), sizes.end());
    if (const auto curve = curve_of(sizes, loss); curve && *least < *most)
      for (int i = 0; i < curve_points; ++i) {
        const double size = *least * std::pow(*most / *least, i / (curve_points - 1.0));
        line.push_back({size, json_number(curve(std::log(size)))});
      }
    curves.push_back(
        {{"C", geometric_mean(rows["C"], members)}, {"rows", points}, {"curve", line}});
  }
  fit.derivation["budget_curves"] = std::move(curves);
}

void review_bias(const Procedure& procedure, const RawRows& rows, const Settings& settings,
                 Fit& fit) {
  Table measured;
  for (const char* name : {"N", "D", "C", "L"}) measured.add(name, rows[name]);
  Fit parametric, biased;
  try {
    parametric = fit_law(measured, {.law = "chinchilla", .bootstrap = 0});
    // The optima's own laws read C alone: units are judged here.
    for (const Diagnostic& d : parametric.diagnostics)
      if (d.code == "units" || d.code == "units-mixed") fit.diagnostics.push_back(d);
    if (parametric.refused()) {
      fit.derivation["bias"] = "unknown: these rows do not determine the parametric law";
      return;
    }
    RawRows exact = rows;
    for (Column& column : exact.table.columns)
      if (column.name == "L")
        for (size_t i = 0; i < column.values.size(); ++i)
          column.values[i] = evaluate_law(chinchilla_law, parametric.values(),
                                          std::vector{rows["N"][i], rows["D"][i]});
    const Derivation derived = procedure.derive(exact, settings);
    if (derived.parts.empty()) return;
    biased = fit_part(derived.parts.front(), {.bootstrap = 0, .refuse = false});
  } catch (const Error& error) {
    fit.derivation["bias"] = std::string("unknown: ") + error.what();
    return;
  }
  const ExactOptimum truth(parametric.values());
  const double largest = fit.ranges.at("C").max;
  const double slope = biased.coefficients[1].value - truth.a;
  const double within = evaluate_at(biased, largest) / truth.size(largest);
  const double beyond = evaluate_at(biased, 10.0 * largest) / truth.size(10.0 * largest);
  const Estimate& exponent = fit.coefficients[1];
  fit.derivation["bias"] = {{"parametric",
                             {{"alpha", parametric.coefficients[3].value},
                              {"beta", parametric.coefficients[4].value},
                              {"a_N", truth.a}}},
                            {"a_N", slope},
                            {"N_opt_at_largest", within},
                            {"N_opt_at_10x", beyond}};
  const bool matters = std::fabs(slope) > 0.5 * exponent.se || std::fabs(std::log(beyond)) > 0.05;
  fit.diagnostics.push_back(
      {"biased-optimum", matters ? Severity::warning : Severity::note,
       fmt::format("On noise-free losses of the parametric law fitted to these rows (alpha {:.3f}, "
                   "beta {:.3f}) this procedure finds a_N {:+.4f} off its exact {:.4f}, and N_opt "
                   "{:+.1f} % off at the largest budget, {:+.1f} % at ten times it.{}",
                   parametric.coefficients[3].value, parametric.coefficients[4].value, slope,
                   truth.a, 100 * (within - 1), 100 * (beyond - 1),
                   matters ? " Prefer the optimum of `chinchilla`." : "")});
}

}  // namespace rung
