// Approach 2, IsoFLOP profiles: at each budget C a parabola of the loss in ln N (and one in ln D);
// through its minima N_opt, D_opt = k C^a and L_opt = E + A C^-alpha.
// Source: Hoffmann et al. 2022, "Training Compute-Optimal Large Language Models", section 3.2. The
// parabola's minimum is biased where alpha != beta or its points lie off-centre or wide: that bias
// is estimated from the parametric law and reported.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/procedures/compute_optimal.h"
#include "law/procedures/procedures.h"
#include "law/regression.h"

namespace rung {
namespace {

constexpr std::string_view isoflop_source = "Hoffmann et al. 2022, section 3.2 (approach 2)";
constinit const Law isoflop_size_law = optimal_size_law("isoflop.N_opt", isoflop_source);
constinit const Law isoflop_data_law = optimal_data_law("isoflop.D_opt", isoflop_source);
constinit const Law isoflop_loss_law = optimal_loss_law("isoflop.L_opt", isoflop_source);
constexpr const Law* isoflop_laws[] = {&isoflop_size_law, &isoflop_data_law, &isoflop_loss_law};

constexpr ProcedureSetting isoflop_settings[] = {
    {"tolerance", "relative width of a budget", 0.1},
    {"points", "distinct sizes that a budget needs", 4},
    {"largest_se", "of a minimum's ln N; beyond it the curve is too flat", 1.0},
};
constexpr double off_centre = 0.5;  // of the half width
const double wide = std::log(100.0);

Json budget_record(double flops, const CurveMinimum& curve) {
  Json record = {{"C", flops},
                 {"points", curve.fitted.size()},
                 {"status", curve.problem.empty() ? "used" : std::string(curve.problem)}};
  if (curve.problem.empty() || curve.problem == "flat-minimum") {
    record["N_opt"] = std::exp(curve.at);
    record["ln_N_se"] = json_number(curve.at_se);
    record["L_opt"] = curve.value;
    record["curvature"] = curve.curvature;
    record["off_centre"] = curve.offset;
    record["decades"] = curve.width / std::log(10.0);
  }
  return record;
}

void report_askew(size_t askew, size_t used, Derivation& derivation) {
  if (askew > 0)
    derivation.diagnostics.push_back(
        {"askew-grid", Severity::warning,
         fmt::format("{} of {} budgets have their minimum far from the middle of their sizes or "
                     "sizes over more than two decades: a parabola's minimum is biased there.",
                     askew, used)});
}

Derivation derive_isoflop(const RawRows& rows, const Settings& settings) {
  Derivation derivation;
  const size_t n = rows.rows.size();
  derivation.fitted.assign(n, std::nan(""));
  derivation.group.assign(n, -1);
  derivation.record["budgets"] = Json::array();
  const int points = static_cast<int>(settings.at("points"));
  const double largest_se = settings.at("largest_se");
  std::vector<OptimumAt> optima;
  std::vector<std::string> dropped;
  double squares = 0.0;
  size_t askew = 0;
  const auto budgets = budgets_of(rows, settings);
  for (size_t g = 0; g < budgets.size(); ++g) {
    const std::vector<size_t>& members = budgets[g];
    const double flops = geometric_mean(rows["C"], members);
    const std::vector<double> loss = pick(rows["L"], members);
    const CurveMinimum size =
        parabola_minimum(logs_of(pick(rows["N"], members)), loss, points, largest_se);
    derivation.record["budgets"].push_back(budget_record(flops, size));
    if (!size.problem.empty()) {
      dropped.push_back(
          fmt::format("{:.3g} FLOPs ({}, {} rows)", flops, size.problem, members.size()));
      continue;
    }
    const CurveMinimum data =
        parabola_minimum(logs_of(pick(rows["D"], members)), loss, points, largest_se);
    OptimumAt at{.flops = flops, .size = std::exp(size.at), .loss = size.value};
    at.tokens = data.problem.empty() ? std::exp(data.at) : flops / (6.0 * at.size);
    optima.push_back(at);
    askew += std::fabs(size.offset) > off_centre || size.width > wide;
    for (size_t i = 0; i < members.size(); ++i) {
      derivation.fitted[members[i]] = size.fitted[i];
      derivation.group[members[i]] = static_cast<int>(g);
      squares += std::pow(std::log(loss[i] / size.fitted[i]), 2);
    }
    derivation.freedom += size.freedom;
  }
  derivation.noise = std::sqrt(squares / std::max(1.0, derivation.freedom));
  report_budgets(dropped, optima.size(), derivation);
  report_askew(askew, optima.size(), derivation);
  if (optima.size() >= 3) derivation.parts = optimum_parts(isoflop_laws, optima, false);
  return derivation;
}

void review_isoflop(const RawRows& rows, const Settings& settings, Fit& fit) {
  const auto parabola = [&](const std::vector<double>& sizes,
                            const std::vector<double>& loss) -> std::function<double(double)> {
    const CurveMinimum curve = parabola_minimum(
        logs_of(sizes), loss, static_cast<int>(settings.at("points")), settings.at("largest_se"));
    if (!curve.problem.empty()) return {};
    return [curve](double x) {
      return curve.value + 0.5 * curve.curvature * (x - curve.at) * (x - curve.at);
    };
  };
  record_curves(rows, settings, parabola, fit);
  review_bias(isoflop_procedure, rows, settings, fit);
}

}  // namespace

constinit const Procedure isoflop_procedure = {
    .name = "isoflop",
    .formula = "N_opt, D_opt = k C^a, L_opt = E + A C^-alpha through parabolas' minima",
    .source = isoflop_source,
    .identifiable = "3 or more budgets, each with 4 or more sizes on both sides of its minimum",
    .columns = isoflop_columns,
    .measured = "L",
    .laws = isoflop_laws,
    .settings = isoflop_settings,
    .derive = derive_isoflop,
    .review = review_isoflop,
};

}  // namespace rung
