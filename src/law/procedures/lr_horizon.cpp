// Learning rate across token horizons: at each horizon D a parabola of the loss in ln lr; through
// its minima lr_opt = B D^-beta, and with several sizes lr_opt = C N^-alpha D^-beta.
// Source: Bjorck et al. 2024, "Scaling Optimal LR Across Token Horizons": the form with N in
// section 4, where alpha = 0.23 and beta = 0.32 hold from 760M to 2.7B. At one size beta falls from
// 0.70 (50M) over 0.38 (350M) to 0.32 (760M, 1.3B; their table 5). Their constants C and B depend
// on the setup; the typical values make plausible rates.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/procedures/aliases.h"
#include "law/procedures/monomial.h"
#include "law/procedures/procedures.h"
#include "law/regression.h"

namespace rung {
namespace {

constexpr std::string_view horizon_source = "Bjorck et al. 2024, section 4";

// The published exponents are positive: lr falls with D and N.
template <int n>
struct Falling {
  static constexpr int coefficients = n + 1, inputs = n;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    return std::get<0>(c) *
           exp(-sum_over<n>([&](auto i) { return std::get<i + 1>(c) * x.log(i); }));
  }
};

constexpr std::string_view horizon_inputs[] = {"D"};
constexpr std::string_view horizon_size_inputs[] = {"N", "D"};
constexpr InputRange horizon_design[] = {{2.5e10, 8e11}};
constexpr InputRange horizon_size_design[] = {{5e7, 2.7e9}, {2.5e10, 8e11}};
constexpr Coefficient horizon_coefficients[] = {
    factor_coefficient("B", "learning rate at one token", 3.0),
    exponent_coefficient("beta", "exponent of the horizon", 0.32),
};
constexpr Coefficient horizon_size_coefficients[] = {
    factor_coefficient("C", "learning rate at N = D = 1", 300.0),
    exponent_coefficient("alpha", "exponent of size", 0.23, 17),
    exponent_coefficient("beta", "exponent of the horizon", 0.32, 17),
};
constinit const Law horizon_law = {
    .name = "lr-horizon.lr_opt",
    .formula = "lr_opt = B D^-beta",
    .source = horizon_source,
    .identifiable = "horizons over a decade or more at one size",
    .inputs = horizon_inputs,
    .coefficients = horizon_coefficients,
    .evaluate = evaluate_formula<Falling<1>>,
    .target = "lr_opt",
    .objective = "least-squares",
    .design = horizon_design,
    .noise = 0.1,
};
constinit const Law horizon_size_law = {
    .name = "lr-horizon.lr_opt_N",
    .formula = "lr_opt = C N^-alpha D^-beta",
    .source = horizon_source,
    .identifiable = "sizes and horizons vary independently",
    .inputs = horizon_size_inputs,
    .coefficients = horizon_size_coefficients,
    .evaluate = evaluate_formula<Falling<2>>,
    .target = "lr_opt",
    .objective = "least-squares",
    .design = horizon_size_design,
    .noise = 0.1,
};
constexpr const Law* horizon_laws[] = {&horizon_law, &horizon_size_law};

constexpr RawColumn horizon_columns[] = {
    {.name = "N", .optional = true}, {"D"}, {.name = "lr", .aliases = lr_aliases}, {"L"}};
constexpr ProcedureSetting horizon_settings[] = {
    {"points", "distinct learning rates that a horizon needs", 4},
    {"within", "of a horizon's lowest loss, relative: runs beyond are off the parabola", 0.05},
    {"largest_se", "of a minimum's ln lr; beyond it the curve is too flat", 1.0},
};

// Rows of each horizon (and size) whose loss is near the lowest.
std::vector<std::vector<size_t>> sweeps_of(const RawRows& rows, double within) {
  std::vector<std::vector<size_t>> sweeps;
  const std::vector<double> one(rows.rows.size(), 1.0);
  for (const auto& sizes : group_values(rows.has("N") ? rows["N"] : one, 1e-6))
    for (const auto& group : group_values(pick(rows["D"], sizes), 1e-6)) {
      double least = unbounded;
      for (const size_t at : group) least = std::min(least, rows["L"][sizes[at]]);
      sweeps.emplace_back();
      for (const size_t at : group)
        if (rows["L"][sizes[at]] <= (1.0 + within) * least) sweeps.back().push_back(sizes[at]);
    }
  return sweeps;
}

// `few` of the dropped have too few learning rates near their best, the others no minimum inside.
void warn_dropped(size_t dropped, size_t few, size_t horizons, const Settings& settings,
                  Derivation& derivation) {
  std::vector<std::string> reasons;
  if (few > 0)
    reasons.push_back(fmt::format(
        "{} with fewer than {:g} learning rates within {:g} % of their lowest loss (take "
        "finer steps, or a larger --setting within=)",
        few, settings.at("points"), 100.0 * settings.at("within")));
  if (dropped > few)
    reasons.push_back(
        fmt::format("{} without a minimum inside their learning rates", dropped - few));
  if (dropped > 0)
    derivation.diagnostics.push_back({"dropped-horizon", Severity::warning,
                                      fmt::format("{} of {} horizons were left out: {}.", dropped,
                                                  horizons, fmt::join(reasons, "; "))});
}

Derivation derive_horizon(const RawRows& rows, const Settings& settings) {
  Derivation derivation;
  derivation.fitted.assign(rows.rows.size(), std::nan(""));
  derivation.group.assign(rows.rows.size(), -1);
  derivation.record["horizons"] = Json::array();
  std::vector<double> sizes, tokens, rates;
  double squares = 0.0;
  size_t dropped = 0, few = 0;
  const auto sweeps = sweeps_of(rows, settings.at("within"));
  for (size_t g = 0; g < sweeps.size(); ++g) {
    const std::vector<size_t>& members = sweeps[g];
    const std::vector<double> loss = pick(rows["L"], members);
    const CurveMinimum curve =
        parabola_minimum(logs_of(pick(rows["lr"], members)), loss,
                         static_cast<int>(settings.at("points")), settings.at("largest_se"));
    Json record = {{"D", rows["D"][members[0]]},
                   {"runs", members.size()},
                   {"status", curve.problem.empty() ? "used" : std::string(curve.problem)}};
    if (rows.has("N")) record["N"] = rows["N"][members[0]];
    if (curve.problem.empty()) record["lr_opt"] = std::exp(curve.at);
    derivation.record["horizons"].push_back(record);
    if (!curve.problem.empty()) {
      ++dropped;
      few += curve.problem == "few-points";
      continue;
    }
    sizes.push_back(rows.has("N") ? rows["N"][members[0]] : 1.0);
    tokens.push_back(rows["D"][members[0]]);
    rates.push_back(std::exp(curve.at));
    for (size_t i = 0; i < members.size(); ++i) {
      derivation.fitted[members[i]] = curve.fitted[i];
      derivation.group[members[i]] = static_cast<int>(g);
      squares += std::pow(std::log(loss[i] / curve.fitted[i]), 2);
    }
    derivation.freedom += curve.freedom;
  }
  derivation.noise = std::sqrt(squares / std::max(1.0, derivation.freedom));
  warn_dropped(dropped, few, sweeps.size(), settings, derivation);
  const bool many_sizes = group_values(sizes, 1e-6).size() > 1;
  const size_t needed = many_sizes ? 4 : 3;
  if (rates.size() < needed) {
    derivation.diagnostics.push_back(
        {"too-few-horizons", Severity::refusal,
         fmt::format("{} horizons have an optimum; the law needs {}. Sweep more horizons, wide "
                     "enough on both sides.",
                     rates.size(), needed)});
    return derivation;
  }
  DerivedPart part{.law = many_sizes ? &horizon_size_law : &horizon_law};
  part.points.source = "optimal learning rates";
  if (many_sizes) part.points.add("N", sizes);
  part.points.add("D", tokens);
  part.points.add("lr_opt", rates);
  derivation.parts.push_back(std::move(part));
  return derivation;
}

}  // namespace

constinit const Procedure lr_horizon_procedure = {
    .name = "lr-horizon",
    .formula = "lr_opt = B D^-beta, or C N^-alpha D^-beta, through parabolas' minima",
    .source = horizon_source,
    .identifiable = "3 or more horizons over a decade, each swept on both sides of its optimum",
    .columns = horizon_columns,
    .measured = "L",
    .laws = horizon_laws,
    .settings = horizon_settings,
    .derive = derive_horizon,
};

}  // namespace rung
