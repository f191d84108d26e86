// The loss along a run under a changing learning rate: a power law of the area S1 under the rate so
// far, less what annealing has released, S2. For a constant rate with a cooldown (WSD) and cosine.
// L = L0 + A S1^-alpha - C S2, S1 = sum_i lr_i, S2 = sum_i m_i, m_i = lambda m_(i-1) + lr_(i-1) -
// lr_i.
// Source: Tissue, Wang and Wang 2024, "Scaling Law with Learning Rate Annealing", equation 1.
#include "law/laws/annealing.h"

#include "core/error.h"
#include "law/bind.h"
#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/terms.h"
#include "law/schedule_rows.h"

namespace rung {
namespace {

struct Annealing {
  static constexpr int coefficients = 4, inputs = 2;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    const auto& [L0, A, alpha, C] = c;
    return L0 + A * exp(-alpha * x.log(0)) - C * x[1];
  }
};

constexpr std::string_view annealing_inputs[] = {"S1", "S2"};
constexpr Coefficient annealing_coefficients[] = {
    {.name = "L0", .meaning = "irreducible loss", .lo = 0.0, .linear = true, .typical = 2.628},
    factor_coefficient("A", "reducible loss at S1 = 1", 0.429),
    {.name = "alpha",
     .meaning = "exponent of the area",
     .lo = 0.01,
     .hi = 3.0,
     .grid_lo = 0.05,
     .grid_hi = 1.5,
     .grid_points = 64,
     .typical = 0.55},
    {.name = "C", .meaning = "gain of annealing", .lo = 0.0, .linear = true, .typical = 0.411},
};
constexpr InputRange annealing_design[] = {{0.3, 12.0}, {0.0, 0.2, true}};
constexpr InputRule annealing_rules[] = {{}, {.domain = Domain::real}};

// A table without the columns S1 and S2 gives them by its runs' schedules.
BoundLaw bind_annealing(const Law& law, const Binding& binding) {
  BoundLaw bound{.law = std::make_shared<Law>(law)};
  if (match_column(binding.table, "S1", binding.columns) &&
      match_column(binding.table, "S2", binding.columns))
    return bound;
  const ScheduledRows rows = schedule_rows(binding, law.name);
  std::vector<std::vector<AnnealingAreas>> areas;
  for (const RateSchedule& schedule : rows.schedules) areas.push_back(annealing_areas(schedule.lr));
  std::vector<double> s1(binding.table.rows, 1.0), s2(binding.table.rows, 0.0);
  for (size_t i = 0; i < binding.rows.size(); ++i) {
    const AnnealingAreas& at = areas[rows.points[i].run][rows.points[i].step];
    s1[binding.rows[i]] = at.S1;
    s2[binding.rows[i]] = at.S2;
  }
  bound.inputs = {{"S1", std::move(s1)}, {"S2", std::move(s2)}};
  return bound;
}

}  // namespace

constinit const Law annealing_law = {
    .name = "annealing",
    .formula = "L = L0 + A S1^-alpha - C S2",
    .source = "Tissue et al. 2024, equation 1",
    .identifiable =
        "S1 spans a decade or more, and points before and after a decay (or different "
        "schedules) tell S2 from S1; warm-up belongs to both sums",
    .inputs = annealing_inputs,
    .coefficients = annealing_coefficients,
    .evaluate = evaluate_formula<Annealing>,
    .design = annealing_design,
    .noise = 0.002,
    .input_rules = annealing_rules,
    .bind = bind_annealing,
};

std::vector<AnnealingAreas> annealing_areas(std::span<const double> lr, double lambda) {
  if (!(lambda >= 0.0 && lambda < 1.0))
    fail_usage("[annealing] lambda lies between 0 and 1. Received {}.", lambda);
  std::vector<AnnealingAreas> areas;
  AnnealingAreas sum;
  double momentum = 0.0;
  for (size_t i = 0; i < lr.size(); ++i) {
    sum.S1 += lr[i];
    if (i > 0) momentum = lambda * momentum + lr[i - 1] - lr[i];
    sum.S2 += momentum;
    areas.push_back(sum);
  }
  return areas;
}

}  // namespace rung
