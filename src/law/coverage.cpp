#include "law/coverage.h"

#include <time.h>

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "law/parallel.h"
#include "law/predict.h"
#include "law/select.h"
#include "law/uncertainty.h"

namespace rung {
namespace {

// Of this thread alone: other work on the machine does not count.
double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// What one ladder gives.
struct Trial {
  std::string refusal{};
  std::vector<Estimate> coefficients{};
  Prediction prediction{};
  double measured = 0.0, seconds = 0.0;
  bool above_truth = false;  // the planted coefficients fit better: the optimum was missed
};

double objective_of_truth(const Planted& planted, const Table& table, const FitOptions& options) {
  const Selection selection = select_rows(*planted.law, table, options);
  const Problem problem = make_problem(selection, options);
  Vector theta(problem.size());
  for (int i = 0; i < problem.size(); ++i)
    theta[i] = to_theta(planted.law->coefficients[i], planted.coefficients[i]);
  return objective_at(problem, theta);
}

Trial run_trial(const Planted& planted, const CoverageOptions& options, const Point& target,
                const std::vector<double>& target_at, size_t ladder) {
  FitOptions fit_options = options.fit;
  fit_options.law = std::string(planted.law->name);
  fit_options.threads = 1;
  fit_options.fixed = planted.fixed;
  fit_options.seed = mix_bits(options.seed + ladder);
  const Table table = simulate(planted, options.seed, ladder);
  const double begin = processor_seconds();
  const Fit fit = fit_law(table, fit_options);
  Trial trial{.seconds = processor_seconds() - begin};
  if (fit.refused()) {
    for (const Diagnostic& diagnostic : fit.diagnostics)
      if (trial.refusal.empty() && diagnostic.severity == Severity::refusal)
        trial.refusal = diagnostic.code;
    return trial;
  }
  trial.coefficients = fit.coefficients;
  trial.prediction = predict(fit, target, fit_options.level);
  trial.above_truth =
      fit.objective_value > objective_of_truth(planted, table, fit_options) * (1 + 1e-6);
  Random random(options.seed + hash_name(planted.law->name), "planted target", ladder);
  trial.measured = measure(planted, target_at, random.normal());
  return trial;
}

double share(size_t count, size_t of) {
  return of == 0 ? std::nan("") : static_cast<double>(count) / static_cast<double>(of);
}

CoefficientCoverage cover_coefficient(const Planted& planted, const std::vector<Trial>& kept,
                                      size_t index) {
  const Coefficient& coefficient = planted.law->coefficients[index];
  const double truth = planted.coefficients[index];
  std::vector<double> errors, widths;
  size_t inside = 0;
  for (const Trial& trial : kept) {
    const Estimate& estimate = trial.coefficients[index];
    inside += truth >= estimate.lo && truth <= estimate.hi;
    errors.push_back(std::fabs(estimate.value / truth - 1.0));
    widths.push_back(std::fabs((estimate.hi - estimate.lo) / truth));
  }
  return {.name = std::string(coefficient.name),
          .nuisance = coefficient.nuisance,
          .covered = share(inside, kept.size()),
          .median_error = quantile(std::move(errors), 0.5),
          .median_width = quantile(std::move(widths), 0.5)};
}

void cover_prediction(const std::vector<Trial>& kept, double truth, Coverage& coverage) {
  std::vector<double> errors, widths;
  size_t inside = 0;
  for (const Trial& trial : kept) {
    const Prediction& at = trial.prediction;
    inside += trial.measured >= at.lo && trial.measured <= at.hi;
    errors.push_back(std::fabs(at.loss / truth - 1.0));
    widths.push_back(std::fabs((at.hi - at.lo) / truth));
  }
  coverage.predicted = share(inside, kept.size());
  coverage.prediction_error = quantile(std::move(errors), 0.5);
  coverage.prediction_width = quantile(std::move(widths), 0.5);
}

}  // namespace

Coverage measure_coverage(const Planted& planted, const CoverageOptions& options) {
  const Law& law = *planted.law;
  const std::vector<double> target_at = beyond(law, options.factor);
  Point target;
  for (size_t i = 0; i < target_at.size(); ++i) target[std::string(law.inputs[i])] = target_at[i];
  std::vector<Trial> trials(options.ladders);
  parallel_for(trials.size(), options.threads,
               [&](size_t i) { trials[i] = run_trial(planted, options, target, target_at, i); });
  Coverage coverage{.law = &law, .ladders = options.ladders, .points = planted.at.size()};
  std::vector<double> seconds;
  std::vector<Trial> kept;
  for (Trial& trial : trials) {
    seconds.push_back(trial.seconds);
    if (trial.refusal.empty())
      kept.push_back(std::move(trial));
    else
      ++coverage.codes[trial.refusal];
  }
  coverage.refused = options.ladders - static_cast<int>(kept.size());
  coverage.missed = static_cast<int>(std::count_if(
      kept.begin(), kept.end(), [](const Trial& trial) { return trial.above_truth; }));
  coverage.seconds = quantile(std::move(seconds), 0.5);
  for (size_t i = 0; i < law.coefficients.size(); ++i)
    if (kept.empty() || !kept.front().coefficients[i].fixed)
      coverage.coefficients.push_back(cover_coefficient(planted, kept, i));
  cover_prediction(kept, evaluate_law(law, planted.coefficients, target_at), coverage);
  return coverage;
}

}  // namespace rung
