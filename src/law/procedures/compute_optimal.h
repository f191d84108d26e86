// What the three procedures for the compute-optimal model share: their laws N_opt, D_opt = k C^a
// and L_opt = E + A C^-alpha, and the bias that their way of finding the optimum has.
#pragma once
#include <functional>

#include "law/laws/terms.h"
#include "law/procedure.h"
#include "law/procedures/monomial.h"

namespace rung {

constexpr std::string_view budget_aliases[] = {"isoflop", "flop budget"};
constexpr RawColumn isoflop_columns[] = {
    {"N"}, {"D"}, {"C"}, {"L"}, {"budget", ColumnKind::label, true, budget_aliases}};
constexpr std::string_view compute_inputs[] = {"C"};
constexpr InputRange compute_design[] = {{6e18, 3e21}};
constexpr Coefficient optimal_size_coefficients[] = {
    factor_coefficient("k_N", "optimal parameters at one FLOP", 0.0900),
    exponent_coefficient("a_N", "exponent of the optimal parameters", 0.49),
};
constexpr Coefficient optimal_data_coefficients[] = {
    factor_coefficient("k_D", "optimal tokens at one FLOP", 1.85),
    exponent_coefficient("a_D", "exponent of the optimal tokens", 0.51),
};
constexpr Coefficient optimal_loss_coefficients[] = {
    irreducible_loss(1.82),
    factor_coefficient("A", "reducible loss at one FLOP", 2650.0),
    {.name = "alpha",
     .meaning = "exponent of compute",
     .lo = 0.005,
     .hi = 2.0,
     .grid_lo = 0.01,
     .grid_hi = 0.6,
     .grid_points = 60,
     .typical = 0.178},
};

constexpr Law optimal_size_law(std::string_view name, std::string_view source) {
  return {.name = name,
          .formula = "N_opt = k_N C^a_N",
          .source = source,
          .identifiable = "budgets over a decade or more, each with an interior minimum",
          .inputs = compute_inputs,
          .coefficients = optimal_size_coefficients,
          .evaluate = evaluate_formula<Monomial<1>>,
          .target = "N_opt",
          .objective = "least-squares",
          .design = compute_design,
          .noise = 0.05};
}

constexpr Law optimal_data_law(std::string_view name, std::string_view source) {
  Law law = optimal_size_law(name, source);
  law.formula = "D_opt = k_D C^a_D";
  law.coefficients = optimal_data_coefficients;
  law.target = "D_opt";
  return law;
}

constexpr Law optimal_loss_law(std::string_view name, std::string_view source) {
  return {.name = name,
          .formula = "L_opt = E + A C^-alpha",
          .source = source,
          .identifiable = "budgets over two decades or more, so that the loss bends towards E",
          .inputs = compute_inputs,
          .coefficients = optimal_loss_coefficients,
          .evaluate = evaluate_formula<Saturating>,
          .target = "L_opt",
          .objective = "least-squares",
          .design = compute_design,
          .noise = 0.003};
}

// Rows grouped into budgets: by the column `budget` where there is one, else by nearly equal C.
std::vector<std::vector<size_t>> budgets_of(const RawRows& rows, const Settings& settings);

// Budgets that were left out, with their reasons, and the refusal when fewer than 3 are left.
void report_budgets(const std::vector<std::string>& dropped, size_t used, Derivation& derivation);

// One budget's optimum.
struct OptimumAt {
  double flops = 0.0, size = 0.0, tokens = 0.0, loss = 0.0;
  double size_weight = 1.0, tokens_weight = 1.0, loss_weight = 1.0;
};

// The three parts from the budgets' optima; weights are written where `weighted`.
std::vector<DerivedPart> optimum_parts(std::span<const Law* const> laws,
                                       const std::vector<OptimumAt>& optima, bool weighted);

// The loss over ln N that a budget's minimum is read from; empty where it has none.
using BudgetCurveOf = std::function<std::function<double(double)>(const std::vector<double>& sizes,
                                                                  const std::vector<double>& loss)>;

// Writes derivation.budget_curves for drawing: of each budget C its rows and its curve as [N, L].
void record_curves(const RawRows& rows, const Settings& settings, const BudgetCurveOf& curve_of,
                   Fit& fit);

// Fits `chinchilla` to the rows, puts its noise-free losses in their place, derives anew and
// compares with that law's exact optimum: what this procedure misses on this table's own design
// (alpha != beta, off-centre and wide grids, a coarse set of sizes). Writes derivation.bias and a
// diagnostic `biased-optimum`, and takes over what that fit says of the rows' units.
void review_bias(const Procedure& procedure, const RawRows& rows, const Settings& settings,
                 Fit& fit);

}  // namespace rung
