#include "law/procedure_resample.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/random.h"
#include "law/meter.h"
#include "law/parallel.h"
#include "law/polish.h"
#include "law/regression.h"
#include "law/select.h"
#include "law/uncertainty.h"

namespace rung {
namespace {

constexpr double most_failed = 0.1;  // of the resamples, before their intervals are doubted

// One resample's result for one quantity: coefficients, and how far its points lie off the law.
struct Redrawn {
  std::vector<double> coefficients;  // empty where it could not be derived or fitted
  double scatter = 0.0;
  std::vector<std::vector<double>> inputs{};  // of its points, as logarithms
  std::vector<double> target{};               // in the unit of the law's residuals
};

// What the curves of the derivation say, with noise about them; without `random` they alone.
RawRows with_noise(const RawRows& raw, const Procedure& procedure, const Derivation& derivation,
                   Random* random) {
  RawRows drawn = raw;
  const double factor = !random                    ? 0.0
                        : derivation.freedom > 0.0 ? noise_scale_draw(derivation.freedom, *random)
                                                   : 1.0;
  for (Column& column : drawn.table.columns) {
    if (column.name != procedure.measured) continue;
    for (size_t i = 0; i < column.values.size(); ++i) {
      const double z = random ? random->normal() : 0.0;
      if (std::isfinite(derivation.fitted[i]))
        column.values[i] = derivation.fitted[i] * std::exp(factor * derivation.noise * z);
    }
  }
  return drawn;
}

// Rows with replacement: whole groups, or each group's among themselves.
RawRows with_rows(const RawRows& raw, const Derivation& derivation, bool whole, Random& random) {
  std::map<int, std::vector<size_t>> by_group;
  for (size_t i = 0; i < raw.rows.size(); ++i)
    by_group[derivation.group.empty() ? 0 : derivation.group[i]].push_back(i);
  std::vector<std::vector<size_t>> groups;
  for (auto& [id, members] : by_group) groups.push_back(std::move(members));
  std::vector<size_t> chosen;
  for (const auto& members : groups) {
    const auto& source = whole ? groups[random.below(groups.size())] : members;
    for (size_t i = 0; i < source.size(); ++i)
      chosen.push_back(source[whole ? i : random.below(source.size())]);
  }
  RawRows drawn{.labels = raw.labels, .names = raw.names, .listed = raw.listed};
  drawn.table.source = raw.table.source;
  drawn.rows = chosen;
  for (const Column& column : raw.table.columns)
    drawn.table.add(column.name, pick(column.values, chosen));
  return drawn;
}

void keep_points(const Problem& problem, Redrawn& result) {
  const Observations& data = *problem.data;
  const size_t k = data.inputs;
  for (size_t row = 0; row < data.rows(); ++row) {
    const double* logs = data.x.data() + 2 * k * row + k;
    if (!std::all_of(logs, logs + k, [](double at) { return std::isfinite(at); })) continue;
    result.inputs.emplace_back(logs, logs + k);
    result.target.push_back(problem.objective.log_residual ? data.log_loss[row] : data.loss[row]);
  }
}

// Derives again from redrawn rows and polishes every law from its own optimum.
std::vector<Redrawn> redraw(const RawRows& drawn, const Procedure& procedure,
                            const Settings& settings, const FitOptions& options,
                            const std::vector<const Fit*>& fits) {
  std::vector<Redrawn> result(fits.size());
  Derivation derivation;
  try {
    derivation = procedure.derive(drawn, settings);
  } catch (const Error& error) {
    if (error.kind == Failure::usage) throw;
    return result;
  }
  for (size_t p = 0; p < fits.size(); ++p) {
    const auto part = std::find_if(derivation.parts.begin(), derivation.parts.end(),
                                   [&](const DerivedPart& d) { return d.law == fits[p]->law; });
    if (part == derivation.parts.end() || fits[p]->coefficients.empty()) continue;
    if (part->points.rows < part->law->coefficients.size()) continue;
    const FitOptions own = part_options(*part, options);
    const Selection selection = select_rows(*part->law, part->points, own);
    const Problem problem = make_problem(selection, own);
    Vector start(problem.size());
    const std::vector<double> values = fits[p]->values();
    for (int i = 0; i < problem.size(); ++i)
      start[i] = to_theta(part->law->coefficients[i], values[i]);
    const Solution found = polish(problem, start, {.max_steps = 60, .tolerance = 1e-9});
    if (!std::isfinite(found.objective)) continue;
    const Vector c = coefficients_of(problem, found.theta);
    result[p].coefficients.assign(c.data(), c.data() + c.size());
    result[p].scatter = scatter_of(problem, found.theta);
    keep_points(problem, result[p]);
  }
  return result;
}

// Where the derived points scatter more about their law than the rows' noise explains, the law or
// the derivation misfits: deviations grow by that ratio (in theta).
double misfit_factor(const DerivedPart& part, const Fit& fit, const FitOptions& options,
                     const std::vector<std::vector<Redrawn>>& draws, size_t p) {
  const FitOptions own = part_options(part, options);
  const Selection selection = select_rows(*part.law, part.points, own);
  const Problem problem = make_problem(selection, own);
  Vector theta(problem.size());
  for (int i = 0; i < problem.size(); ++i)
    theta[i] = to_theta(fit.law->coefficients[i], fit.coefficients[i].value);
  double sum = 0.0, count = 0.0;
  for (const auto& draw : draws) {
    if (draw[p].coefficients.empty()) continue;
    sum += draw[p].scatter * draw[p].scatter;
    count += 1.0;
  }
  const double expected = std::sqrt(sum / std::max(1.0, count));
  return expected > 0.0 ? std::max(1.0, scatter_of(problem, theta) / expected) : 1.0;
}

// Deviations of the points that most draws share, against their inputs.
NoiseGrowth growth_of(const std::vector<std::vector<Redrawn>>& draws, size_t p) {
  struct Sums {
    double count = 0.0, sum = 0.0, squares = 0.0;
  };
  std::map<std::vector<double>, Sums> points;
  double derived = 0.0;
  for (const auto& draw : draws) {
    derived += !draw[p].target.empty();
    for (size_t i = 0; i < draw[p].target.size(); ++i) {
      Sums& at = points[draw[p].inputs[i]];
      at.count += 1.0;
      at.sum += draw[p].target[i];
      at.squares += draw[p].target[i] * draw[p].target[i];
    }
  }
  std::vector<const std::vector<double>*> inputs;
  std::vector<double> variance;
  for (const auto& [at, sums] : points) {
    if (sums.count < std::max(20.0, 0.5 * derived)) continue;
    const double mean = sums.sum / sums.count;
    const double own = (sums.squares - sums.count * mean * mean) / (sums.count - 1.0);
    // What no draw changes (rows that are points themselves) varies by rounding alone.
    if (!(own > 1e-12 * (mean * mean + 1e-12))) continue;
    inputs.push_back(&at);
    variance.push_back(own);
  }
  if (inputs.empty() || inputs.size() < inputs.front()->size() + 2) return {};
  const size_t k = inputs.front()->size();
  Eigen::MatrixXd design(inputs.size(), k + 1);
  std::vector<double> log_deviation;
  for (size_t i = 0; i < inputs.size(); ++i) {
    design(i, 0) = 1.0;
    for (size_t j = 0; j < k; ++j) design(i, j + 1) = (*inputs[i])[j];
    log_deviation.push_back(0.5 * std::log(variance[i]));
  }
  const LinearFit line = least_squares(design, log_deviation);
  if (!line.determined) return {};
  // The residuals' deviation is the points' root mean square.
  double mean_square = 0.0;
  for (const double v : variance) mean_square += v / static_cast<double>(variance.size());
  NoiseGrowth growth{.offset = line.coefficients[0] - 0.5 * std::log(mean_square)};
  for (size_t j = 0; j < k; ++j) growth.slopes.push_back(line.coefficients[j + 1]);
  return growth;
}

void set_samples(const DerivedPart& part, const FitOptions& options,
                 const std::vector<std::vector<Redrawn>>& draws,
                 const std::vector<Redrawn>& noiseless, size_t p, Fit& fit) {
  if (fit.coefficients.empty()) return;
  const double widen = misfit_factor(part, fit, options, draws, p);
  const std::vector<double> centre = fit.values();
  // Resamples scatter about what their noiseless curves give, which need not be the estimate: a
  // procedure that follows the noise lies off the smooth curves that it is drawn around.
  const std::vector<double>& about =
      noiseless.empty() || noiseless[p].coefficients.empty() ? centre : noiseless[p].coefficients;
  fit.samples.clear();
  for (const auto& draw : draws) {
    if (draw[p].coefficients.empty()) continue;
    std::vector<double> sample = draw[p].coefficients;
    for (size_t i = 0; i < sample.size(); ++i) {
      const Coefficient& c = fit.law->coefficients[i];
      const double theta = to_theta(c, centre[i]);
      const double moved = theta + widen * (to_theta(c, sample[i]) - to_theta(c, about[i]));
      if (std::isfinite(moved)) sample[i] = std::clamp(from_theta(c, moved), c.lo, c.hi);
    }
    fit.samples.push_back(std::move(sample));
  }
  fit.noise_growth = growth_of(draws, p);
  // A few derived points leave the scatter of the next one uncertain too.
  const double freedom =
      std::max(1.0, static_cast<double>(fit.points) - static_cast<double>(centre.size()));
  fit.sample_noise.clear();
  for (size_t i = 0; i < fit.samples.size(); ++i) {
    Random random(options.seed, "derived noise", i);
    fit.sample_noise.push_back(noise_scale_draw(freedom, random));
  }
  summarise_samples(fit);
  const double failed =
      1.0 - static_cast<double>(fit.samples.size()) / static_cast<double>(draws.size());
  if (failed > most_failed)
    fit.diagnostics.push_back(
        {"unstable-derivation", Severity::warning,
         fmt::format("{}: {:.0f} % of the resamples gave no points; its interval is too narrow.",
                     fit.law->target, 100 * failed)});
}

}  // namespace

FitOptions part_options(const DerivedPart& part, const FitOptions& options) {
  FitOptions result{.law = std::string(part.law->name), .columns = part.columns, .bootstrap = 0};
  result.delta = options.delta;
  result.level = options.level;
  result.seed = options.seed;
  result.threads = options.threads;
  result.interrupted = options.interrupted;
  result.refuse = options.refuse;
  result.profile = options.profile;
  result.objective = options.objective;
  result.fixed = part.fixed;
  if (part.points.find("weight")) result.weight_column = "weight";
  // What the caller says about coefficients goes to the law that has them.
  for (const Coefficient& c : part.law->coefficients) {
    const std::string name(c.name);
    if (const auto at = options.fixed.find(name); at != options.fixed.end())
      result.fixed[name] = at->second;
    if (const auto at = options.bounds.find(name); at != options.bounds.end())
      result.bounds.insert(*at);
  }
  return result;
}

Redraw redraw_of(const Derivation& derivation, const FitOptions& options) {
  const bool rows = derivation.fitted.empty() || options.resampling == Resampling::rows;
  return rows && derivation.redraw == Redraw::noise ? Redraw::rows : derivation.redraw;
}

double scatter_of(const Problem& problem, const Vector& theta) {
  double sum = 0.0;
  for (const double r : residuals(problem, coefficients_of(problem, theta))) sum += r * r;
  return std::sqrt(sum);
}

void resample_procedure(const RawRows& raw, const Procedure& procedure, const Settings& settings,
                        const FitOptions& options, const Derivation& derivation,
                        const std::vector<Fit*>& fits) {
  const Redraw how = redraw_of(derivation, options);
  if (how != Redraw::noise && options.resampling == Resampling::parametric)
    fail_usage("[{}] Its rows have no curve to draw noise around. Received parametric resampling.",
               procedure.name);
  const std::vector<const Fit*> seen(fits.begin(), fits.end());
  Settings held = settings;
  for (const auto& [name, value] : derivation.held) held[name] = value;
  std::vector<std::vector<Redrawn>> draws(options.bootstrap);
  Meter meter(options.progress, std::string(procedure.name), draws.size(), "resamples");
  parallel_for(draws.size(), options.threads, [&](size_t i) {
    stop_if(options.interrupted);
    Random random(options.seed, "procedure", i);
    const RawRows drawn = how == Redraw::noise
                              ? with_noise(raw, procedure, derivation, &random)
                              : with_rows(raw, derivation, how == Redraw::groups, random);
    draws[i] = redraw(drawn, procedure, held, options, seen);
    meter.add();
  });
  std::vector<Redrawn> noiseless;
  if (how == Redraw::noise)
    noiseless =
        redraw(with_noise(raw, procedure, derivation, nullptr), procedure, held, options, seen);
  for (size_t p = 0; p < fits.size(); ++p)
    set_samples(derivation.parts[p], options, draws, noiseless, p, *fits[p]);
}

}  // namespace rung
