// The multi-power law of learning curves under any learning-rate schedule, warm-up included:
//   L(t) = L0 + A S1(t)^-alpha - B sum_{k=1..t} (lr_{k-1} - lr_k) G(lr_k^-gamma S_k(t)),
//   G(x) = 1 - (1 + C x)^-beta,  S1(t) = sum_{0..t} lr,  S_k(t) = sum_{k..t} lr.
// Source: Luo et al. 2025, "A Multi-Power Law for Loss Curve Prediction Across Learning Rate
// Schedules", equations 1 and 2.
#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "core/nearest.h"
#include "law/annealing_sum.h"
#include "law/bind.h"
#include "law/laws/laws.h"
#include "law/laws/terms.h"
#include "law/schedule_rows.h"
#include "law/schedule_sum.h"

namespace rung {
namespace {

constexpr std::string_view inputs[] = {"run", "step"};
constexpr Coefficient multi_power_coefficients[] = {
    {.name = "L0", .meaning = "irreducible loss", .lo = 0.0, .linear = true, .typical = 2.65145},
    factor_coefficient("A", "power term", 0.601152),
    {.name = "alpha",
     .meaning = "exponent of the summed rate",
     .lo = 0.01,
     .hi = 3.0,
     .grid_lo = 0.25,
     .grid_hi = 0.85,
     .grid_points = 5,
     .typical = 0.452958},
    factor_coefficient("B", "drop of the loss by annealing", 437.946),
    {.name = "C",
     .meaning = "speed of the drop",
     .scale = Scale::log,
     .lo = 1e-3,
     .hi = 1e4,
     .grid_lo = 0.5,
     .grid_hi = 8.0,
     .grid_points = 3,
     .typical = 2.13246},
    {.name = "beta",
     .meaning = "exponent of the drop",
     .lo = 0.01,
     .hi = 5.0,
     .grid_lo = 0.3,
     .grid_hi = 1.0,
     .grid_points = 3,
     .typical = 0.597852},
    {.name = "gamma",
     .meaning = "exponent of the rate inside the drop",
     .lo = 0.0,
     .hi = 2.0,
     .grid_lo = 0.4,
     .grid_hi = 0.9,
     .grid_points = 3,
     .typical = 0.655236},
};
enum { L0, A, alpha, B, C, beta, gamma, count };

// The runs of a table and the sums at the steps where they were measured.
struct Curves {
  Law law;
  std::vector<ScheduleSum> runs;
  struct Point {
    size_t first = 0, terms = 0;
  };
  std::vector<std::vector<int>> at;  // [run][step]: position in `points`, or -1
  std::vector<Point> points;
  SumLists terms;
};

void store_jet(const AnnealingJet& drop, double power, double log_s1, const double* c, int order,
               double* out) {
  // Of the natural C: d/dC = 1/C d/dlnC, d2/dC2 = (d2/dlnC2 - d/dlnC) / C^2.
  const double inverse = 1.0 / c[C];
  const double g[3] = {drop.first[0] * inverse, drop.first[1], drop.first[2]};
  *out++ = c[L0] + c[A] * power - c[B] * drop.value;
  double gradient[count] = {
      1.0, power, -c[A] * power * log_s1, -drop.value, -c[B] * g[0], -c[B] * g[1], -c[B] * g[2]};
  out = std::copy(gradient, gradient + count, out);
  if (order < 2) return;
  double hessian[count][count] = {};
  hessian[alpha][A] = -power * log_s1;
  hessian[alpha][alpha] = c[A] * power * log_s1 * log_s1;
  for (int i = 0; i < 3; ++i) hessian[C + i][B] = -g[i];
  const double* h = drop.second;
  hessian[C][C] = -c[B] * (h[0] - drop.first[0]) * inverse * inverse;
  hessian[beta][C] = -c[B] * h[1] * inverse;
  hessian[beta][beta] = -c[B] * h[2];
  hessian[gamma][C] = -c[B] * h[3] * inverse;
  hessian[gamma][beta] = -c[B] * h[4];
  hessian[gamma][gamma] = -c[B] * h[5];
  for (int i = 0; i < count; ++i)
    for (int j = 0; j <= i; ++j) *out++ = hessian[i][j];
}

void evaluate(const Law& law, const double* c, const double* x, size_t rows, int order,
              double* out) {
  if (!law.context)
    fail("[multi-power] The law reads whole runs: fit it to a table, or predict the rows of one.");
  const Curves& curves = *static_cast<const Curves*>(law.context);
  SumLists fresh;
  const size_t width = jet_size(order, count);
  for (size_t row = 0; row < rows; ++row, x += 4, out += width) {
    const size_t run = static_cast<size_t>(x[0]) - 1, step = static_cast<size_t>(x[1]);
    if (run >= curves.runs.size() || step > curves.runs[run].last_step())
      fail("[multi-power] The schedules do not reach there. Received run {:g}, step {:g}.", x[0],
           x[1]);
    const int point = curves.at[run][step];
    SumTerms terms{};
    if (point >= 0) {
      terms = curves.terms.view(curves.points[point].first, curves.points[point].terms);
    } else {
      fresh.clear();
      curves.runs[run].append_terms(step, fresh);
      terms = fresh.view(0, fresh.size());
    }
    const double log_s1 = std::log(curves.runs[run].sum(step));
    const double power = std::exp(-c[alpha] * log_s1);
    if (order == 0)
      *out = c[L0] + c[A] * power - c[B] * annealing_sum(terms, std::log(c[C]), c[beta], c[gamma]);
    else
      store_jet(annealing_jet(terms, std::log(c[C]), c[beta], c[gamma]), power, log_s1, c, order,
                out);
  }
}

BoundLaw bind_multi_power(const Law& law, const Binding& binding) {
  const auto curves = std::make_shared<Curves>();
  const ScheduledRows rows = schedule_rows(binding, law.name);
  for (const RateSchedule& schedule : rows.schedules) {
    curves->runs.emplace_back(schedule);
    curves->at.emplace_back(schedule.lr.size(), -1);
  }
  BoundLaw bound;
  std::vector<double> run_of(binding.table.rows, 1.0), step_of(binding.table.rows, 1.0);
  bool falls = false;
  for (size_t i = 0; i < binding.rows.size(); ++i) {
    const auto [run, step] = rows.points[i];
    int& at = curves->at[run][step];
    if (at < 0) {
      at = static_cast<int>(curves->points.size());
      const size_t first = curves->terms.size();
      curves->runs[run].append_terms(step, curves->terms);
      curves->points.push_back({first, curves->terms.size() - first});
    }
    run_of[binding.rows[i]] = static_cast<double>(run) + 1.0;
    step_of[binding.rows[i]] = static_cast<double>(step);
    falls = falls || curves->runs[run].has_fallen(step);
  }
  if (!falls)
    bound.diagnostics.push_back(
        {"constant-rate", Severity::refusal,
         "The learning rate never falls before a measured row, so what annealing gains (B, C, "
         "beta, gamma) is undetermined. Add runs with a cooldown."});
  curves->law = law;
  curves->law.context = curves.get();
  bound.inputs = {{"run", std::move(run_of)}, {"step", std::move(step_of)}};
  bound.law = {curves, &curves->law};
  return bound;
}

}  // namespace

constinit const Law multi_power_law = {
    .name = "multi-power",
    .formula =
        "L(t) = L0 + A S1(t)^-alpha - B sum_k (lr_{k-1} - lr_k) (1 - (1 + C lr_k^-gamma "
        "S_k(t))^-beta)",
    .source = "Luo et al. 2025, equations 1 and 2",
    .identifiable =
        "several schedules: one whose rate stays constant long, one that falls "
        "smoothly and one that drops at once",
    .inputs = inputs,
    .coefficients = multi_power_coefficients,
    .evaluate = evaluate,
    .noise = 0.002,
    .run_input = 0,
    .bind = bind_multi_power,
};

}  // namespace rung
