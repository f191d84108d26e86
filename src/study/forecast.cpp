#include "study/forecast.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>

#include "core/error.h"
#include "core/sorted_quantile.h"
#include "law/rollout.h"
#include "study/bend.h"
#include "study/rungs.h"

namespace rung {
namespace {

// z such that a normal variable lies within z deviations with this probability.
double normal_half_width(double level) {
  double low = 0.0, high = 10.0;
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (std::erf(middle / std::sqrt(2.0)) < level ? low : high) = middle;
  }
  return low;
}

Table ladder_table(std::span<const RunRecord> ladder, const std::map<int64_t, double>& deviations) {
  std::vector<double> n, d, c, l, sd;
  for (const RunRecord& r : ladder) {
    n.push_back(static_cast<double>(r.N));
    d.push_back(static_cast<double>(r.D));
    c.push_back(r.C);
    l.push_back(r.L);
    sd.push_back(deviations.at(r.N) * r.L);
  }
  Table table{.source = "the ladder"};
  table.add("N", n);
  table.add("D", d);
  table.add("C", c);
  table.add("L", l);
  table.add("sd", sd);
  return table;
}

double lowest_loss(std::span<const RunRecord> ladder) {
  double lowest = ladder.front().L;
  for (const RunRecord& r : ladder) lowest = std::min(lowest, r.L);
  return lowest;
}

// Laws along the path in N. The exponent of E + A N^-a is drawn towards what long ladders of small
// models show there (docs/climb.md: 0.24 to 0.33 on four kinds of text, 0.35 for the size term of
// the Chinchilla re-analyses), and E towards 0.6 of the lowest loss (0.55 to 0.9 there): few rungs
// leave both open, and E would run to 0 where the curve has a bend.
std::vector<FitOptions> laws_to_try(const ForecastOptions& wanted, double lowest) {
  const std::string& law = wanted.law;
  FitOptions options{.law = law.empty() ? "power" : law};
  check_path_law(options.law);
  options.columns = {{"x", "N"}};
  options.objective = "least-squares";
  if (wanted.measures.noise) options.sd_column = "sd";
  options.seed = wanted.seed;
  options.bootstrap = 400;
  options.refuse = false;
  if (options.law != "power") return {options};
  if (wanted.measures.prior) options.priors = {{"a", {.mean = 0.30, .sd = 0.10}}};
  if (!wanted.measures.offset)
    options.fixed = {{"E", 0.0}};
  else if (wanted.measures.prior)
    options.priors["E"] = {.mean = 0.6 * lowest, .sd = 0.2 * lowest};
  return {options};
}

std::vector<RunRecord> first_seeds(std::span<const RunRecord> runs) {
  std::vector<RunRecord> first;
  for (const RunRecord& r : runs)
    if (std::none_of(first.begin(), first.end(), [&](const RunRecord& f) { return f.N == r.N; }))
      first.push_back(r);
  return first;
}

double deviation_between(const std::vector<double>& values, const std::vector<double>& weights) {
  double sum = 0.0, mean = 0.0, square = 0.0;
  for (size_t i = 0; i < values.size(); ++i) {
    sum += weights[i];
    mean += weights[i] * values[i];
  }
  mean /= sum;
  for (size_t i = 0; i < values.size(); ++i)
    square += weights[i] * (values[i] - mean) * (values[i] - mean);
  return std::sqrt(square / sum);
}

double half_width(std::vector<double> draws, double level) {
  std::sort(draws.begin(), draws.end());
  return 0.5 * (sorted_quantile(draws, 0.5 + level / 2) - sorted_quantile(draws, 0.5 - level / 2));
}

// Half the chi-square of a regime's fit (with the prior's share) beyond what its degrees of freedom
// explain. A bend inside the regime shows here long before it shows in how the largest rung is
// predicted.
double misfit(const Fit& fit) {
  const double freedom =
      static_cast<double>(fit.points) - static_cast<double>(fit.coefficients.size());
  return std::max(0.0, fit.objective_value - 0.5 * std::max(1.0, freedom));
}

// Rollout weights times exp(-misfit), relative to the best candidate so that they cannot all
// vanish.
std::vector<double> candidate_weights(const std::vector<Rollout>& rollouts,
                                      const std::vector<Fit>& fits, const Measures& measures) {
  double least = misfit(fits.front());
  for (const Fit& fit : fits) least = std::min(least, misfit(fit));
  std::vector<double> weights;
  double sum = 0.0;
  for (size_t i = 0; i < fits.size(); ++i) {
    const double rolled = measures.rollout ? std::max(rollouts[i].weight, 1e-6) : 1.0;
    weights.push_back(rolled * (measures.goodness ? std::exp(least - misfit(fits[i])) : 1.0));
    sum += weights.back();
  }
  for (double& w : weights) w /= sum;
  return weights;
}

// N of the largest rung that a candidate leaves out; 0: none.
int64_t dropped_below(const std::map<int64_t, double>& rungs, const Candidate& candidate) {
  if (candidate.drop_smallest < 1) return 0;
  return std::next(rungs.begin(), candidate.drop_smallest - 1)->first;
}

void check_rungs(size_t count) {
  if (count < 4)
    refuse(
        "[forecast] A law along the path needs at least 4 rungs. Received {}. Raise the budget, or "
        "lower --ahead.",
        count);
}

}  // namespace

void check_path_law(const std::string& law) {
  if (find_law(law).inputs.size() != 1)
    fail_usage(
        "[climb] --law must have one variable, as all rungs lie on one path. Received {}. Use "
        "power or broken-power.",
        law);
}

Forecast forecast(std::span<const RunRecord> runs, const PathPoint& target,
                  const ForecastOptions& wanted) {
  Forecast f;
  const std::vector<RunRecord> ladder =
      wanted.measures.seeds ? std::vector<RunRecord>(runs.begin(), runs.end()) : first_seeds(runs);
  const std::map<int64_t, double> deviations = rung_deviations(ladder, f.seed_sd);
  check_rungs(deviations.size());
  const Table table = ladder_table(ladder, deviations);
  const int most_dropped =
      wanted.measures.regime ? std::min<int>(4, static_cast<int>(deviations.size()) - 4) : 0;
  const std::vector<Candidate> candidates =
      make_candidates(laws_to_try(wanted, lowest_loss(ladder)), std::max(0, most_dropped));
  RolloutOptions options{
      .order = "C", .max_hold_out = 2, .min_points = 4, .noise_floor = f.seed_sd};
  const std::vector<Rollout> rollouts = score_candidates(table, candidates, options);
  for (const Candidate& candidate : candidates)
    f.fits.push_back(fit_candidate(table, candidate, options));
  f.weights = candidate_weights(rollouts, f.fits, wanted.measures);
  f.candidates = Json::array();
  std::vector<double> losses;
  double excess = 0.0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    losses.push_back(predict_loss(f.fits[i], point_of(target)));
    excess += f.weights[i] * excess_error(rollouts[i], f.seed_sd);
    if (f.weights[i] > f.weights[f.best]) f.best = i;
    Json steps = Json::array();
    for (const RolloutStep& step : rollouts[i].steps)
      steps.push_back({{"held_out", step.held_out},
                       {"next_error", step.next_error},
                       {"far_error", step.far_error}});
    f.candidates.push_back({{"law", candidates[i].options.law},
                            {"dropped", candidates[i].drop_smallest},
                            {"weight", f.weights[i]},
                            {"misfit", misfit(f.fits[i])},
                            {"rollout_error", json_number(rollouts[i].score)},
                            {"steps", steps},
                            {"predicted", losses.back()}});
  }
  f.rollout_sd = excess;
  double mean = 0.0;
  for (size_t i = 0; i < losses.size(); ++i) mean += f.weights[i] * std::log(losses[i]);
  f.bend_sd = bend_deviation(ladder, deviations, dropped_below(deviations, candidates[f.best]),
                             target.N, std::exp(mean));
  const double level = wanted.level;
  f.prediction =
      predict_mixture(f.fits, f.weights, point_of(target), level, f.extra_sd(), wanted.seed);
  const double z = normal_half_width(level), loss = f.prediction.loss;
  f.sources = {
      {"fit",
       half_width(predict_draws(f.fits[f.best], point_of(target), false, wanted.seed), level)},
      {"seeds", z * f.seed_sd * loss},
      {"form", z * deviation_between(losses, f.weights)},
      {"rollout", z * f.rollout_sd * loss},
      {"bend", z * f.bend_sd * loss}};
  return f;
}

}  // namespace rung
