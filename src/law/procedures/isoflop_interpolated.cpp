// Interpolated IsoFLOP: at each budget Akima's interpolant of ln L in ln N (and in ln D), its
// minimum the median over resamples with seed noise; the power laws weight each budget by 1/sd^2
// of its minimum over those resamples.
// Source: Porian et al. 2024, "Resolving Discrepancies in Compute-Optimal Scaling of Language
// Models", and the authors' script. Their published loss fit passes 1/sd^2 where a deviation is
// expected, which weights the noisiest budgets most; here the weights are the right way round.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/random.h"
#include "law/procedures/compute_optimal.h"
#include "law/procedures/procedures.h"
#include "law/regression.h"
#include "law/uncertainty.h"

namespace rung {
namespace {

constexpr std::string_view interpolated_source = "Porian et al. 2024";
constinit const Law interpolated_size_law =
    optimal_size_law("isoflop-interpolated.N_opt", interpolated_source);
constinit const Law interpolated_data_law =
    optimal_data_law("isoflop-interpolated.D_opt", interpolated_source);
constinit const Law interpolated_loss_law =
    optimal_loss_law("isoflop-interpolated.L_opt", interpolated_source);
constexpr const Law* interpolated_laws[] = {&interpolated_size_law, &interpolated_data_law,
                                            &interpolated_loss_law};

constexpr ProcedureSetting interpolated_settings[] = {
    {"tolerance", "relative width of a budget", 0.1},
    {"noise", "relative deviation of the loss between seeds", 0.002},
    {"resamples", "with seed noise, per budget", 100},
};
constexpr size_t least_points = 5;      // that Akima's slopes need
constexpr double least_step = 0.33;     // of the mean spacing of ln N: no deviation is finer
constexpr double least_freedom = 4.0;   // before the rows' scatter counts as their noise
constexpr double least_interior = 0.5;  // of the resamples with an interior minimum

// One budget's points along one axis, ascending, the lowest loss of equal sizes kept.
struct BudgetCurve {
  std::vector<double> x, y;  // logarithms
};

BudgetCurve make_curve(const std::vector<double>& axis, const std::vector<double>& loss) {
  BudgetCurve curve;
  for (const auto& equal : group_values(axis, 1e-6)) {
    curve.x.push_back(std::log(axis[equal.front()]));
    const std::vector<double> losses = pick(loss, equal);
    curve.y.push_back(std::log(*std::min_element(losses.begin(), losses.end())));
  }
  return curve;
}

// A budget's losses without their noise, for drawing it anew: a parabola in ln N. Akima's
// interpolant goes through every point and leaves nothing to measure the noise by.
struct SmoothCurve {
  std::vector<double> fitted;  // losses
  double squares = 0.0;        // of the log residuals
  int freedom = 0;
};

SmoothCurve smooth_curve(const std::vector<double>& sizes, const std::vector<double>& loss) {
  const std::vector<double> x = logs_of(sizes), y = logs_of(loss);
  const double middle = mean_of(x);
  Eigen::MatrixXd design(x.size(), 3);
  for (size_t i = 0; i < x.size(); ++i) {
    const double u = x[i] - middle;
    design.row(i) << 1.0, u, u * u;
  }
  const LinearFit fit = least_squares(design, y);
  SmoothCurve curve{.fitted = loss};
  if (!fit.determined || fit.freedom < 1) return curve;
  const Eigen::VectorXd values = design * fit.coefficients;
  for (size_t i = 0; i < x.size(); ++i) curve.fitted[i] = std::exp(values[i]);
  curve.squares = fit.variance * fit.freedom;
  curve.freedom = fit.freedom;
  return curve;
}

struct NoisyMinimum {
  double at = 0.0, at_sd = 0.0, value = 0.0, value_sd = 0.0, interior = 0.0;
};

NoisyMinimum noisy_minimum(const BudgetCurve& curve, double noise, int resamples, uint64_t budget) {
  std::vector<double> places, values;
  for (int i = 0; i < resamples; ++i) {
    Random random(budget, "seed noise", i);
    std::vector<double> y = curve.y;
    for (double& v : y) v += noise * random.normal();
    const Akima spline(curve.x, std::move(y));
    const double at = spline.minimum();
    if (!(at > curve.x.front() && at < curve.x.back())) continue;
    places.push_back(at);
    values.push_back(spline(at));
  }
  NoisyMinimum result{.interior = static_cast<double>(places.size()) / resamples};
  if (result.interior < least_interior || places.size() < 2) return result;
  const double spacing =
      (curve.x.back() - curve.x.front()) / static_cast<double>(curve.x.size() - 1);
  result.at = quantile(places, 0.5);
  result.value = quantile(values, 0.5);
  // Fewer interior minima make a budget count less.
  result.at_sd = std::max(deviation_of(places), least_step * spacing) / result.interior;
  result.value_sd = std::max(deviation_of(values), 1e-6) / result.interior;
  return result;
}

// A budget's minimum over sizes and over data, each weighted by its own scatter.
OptimumAt weighed(double flops, const NoisyMinimum& size, const NoisyMinimum& data) {
  return {.flops = flops,
          .size = std::exp(size.at),
          .tokens = std::exp(data.at),
          .loss = std::exp(size.value),
          .size_weight = 1.0 / (size.at_sd * size.at_sd),
          .tokens_weight = 1.0 / (data.at_sd * data.at_sd),
          .loss_weight = 1.0 / (size.value_sd * size.value_sd)};
}

Derivation derive_interpolated(const RawRows& rows, const Settings& settings) {
  Derivation derivation;
  const double seed_noise = settings.at("noise");
  double squares = 0.0;
  derivation.fitted.assign(rows.rows.size(), std::nan(""));
  derivation.group.assign(rows.rows.size(), -1);
  derivation.record["budgets"] = Json::array();
  const int resamples = std::max(2, static_cast<int>(settings.at("resamples")));
  std::vector<OptimumAt> optima;
  std::vector<std::string> dropped;
  const auto budgets = budgets_of(rows, settings);
  for (size_t g = 0; g < budgets.size(); ++g) {
    const std::vector<size_t>& members = budgets[g];
    const double flops = geometric_mean(rows["C"], members);
    const std::vector<double> loss = pick(rows["L"], members);
    const BudgetCurve sizes = make_curve(pick(rows["N"], members), loss);
    const BudgetCurve tokens = make_curve(pick(rows["D"], members), loss);
    Json record = {{"C", flops}, {"points", members.size()}};
    const auto drop = [&](const char* reason) {
      record["status"] = reason;
      derivation.record["budgets"].push_back(record);
      dropped.push_back(fmt::format("{:.3g} FLOPs ({}, {} rows)", flops, reason, members.size()));
    };
    if (sizes.x.size() < least_points || tokens.x.size() < least_points) {
      drop("few-points");
      continue;
    }
    const NoisyMinimum size = noisy_minimum(sizes, seed_noise, resamples, g);
    const NoisyMinimum data = noisy_minimum(tokens, seed_noise, resamples, g + 1000);
    if (size.interior < least_interior || data.interior < least_interior) {
      drop("edge-minimum");
      continue;
    }
    optima.push_back(weighed(flops, size, data));
    record["status"] = "used";
    record["N_opt"] = std::exp(size.at);
    record["ln_N_sd"] = size.at_sd;
    record["L_opt"] = std::exp(size.value);
    record["interior"] = size.interior;
    derivation.record["budgets"].push_back(record);
    const SmoothCurve smooth = smooth_curve(pick(rows["N"], members), loss);
    for (size_t i = 0; i < members.size(); ++i) {
      derivation.fitted[members[i]] = smooth.fitted[i];
      derivation.group[members[i]] = static_cast<int>(g);
    }
    squares += smooth.squares;
    derivation.freedom += smooth.freedom;
  }
  // The rows' own scatter where there is enough to see it; the setting is only an assumption.
  const bool seen = derivation.freedom >= least_freedom;
  derivation.noise = seen ? std::sqrt(squares / derivation.freedom) : seed_noise;
  if (!seen) derivation.freedom = 0.0;
  report_budgets(dropped, optima.size(), derivation);
  if (optima.size() >= 3) derivation.parts = optimum_parts(interpolated_laws, optima, true);
  return derivation;
}

void review_interpolated(const RawRows& rows, const Settings& settings, Fit& fit) {
  const auto interpolant = [](const std::vector<double>& sizes,
                              const std::vector<double>& loss) -> std::function<double(double)> {
    const BudgetCurve curve = make_curve(sizes, loss);
    if (curve.x.size() < least_points) return {};
    return [spline = Akima(curve.x, curve.y)](double x) { return std::exp(spline(x)); };
  };
  record_curves(rows, settings, interpolant, fit);
  review_bias(isoflop_interpolated_procedure, rows, settings, fit);
}

}  // namespace

constinit const Procedure isoflop_interpolated_procedure = {
    .name = "isoflop-interpolated",
    .formula = "the same through minima of Akima curves under seed noise, weighted",
    .source = interpolated_source,
    .identifiable = "3 or more budgets, each with 5 or more sizes on both sides of its minimum",
    .columns = isoflop_columns,
    .measured = "L",
    .laws = interpolated_laws,
    .settings = interpolated_settings,
    .derive = derive_interpolated,
    .review = review_interpolated,
};

}  // namespace rung
