// The planted-truth study of the procedures and of learning curves: simulated tables of each,
// fitted; how often do the intervals hold the truth, and how biased are the estimates?
//
//   procedure_coverage [--only NAME] [--tables 200] [--bootstrap 200] [--threads 0] [--seed 0]
//
// Prints a Markdown table. The bar for a 90 % interval is 85-95 % (82-97 % with at most 200
// tables); a procedure that is known to be biased shows its bias instead: median estimate over
// truth.
#include <fmt/ranges.h>
#include <time.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "core/error.h"
#include "law/parallel.h"
#include "law/uncertainty.h"
#include "planted_procedures.h"

using namespace rung;

namespace {

struct Trial {
  std::string refusal;
  std::map<std::string, Estimate> estimates;
  bool predicted = false, inside = false;
  double error = 0.0, width = 0.0, seconds = 0.0;
};

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void collect(const Fit& fit, Trial& trial) {
  for (const Estimate& e : fit.coefficients)
    if (!e.fixed) trial.estimates.emplace(e.name, e);
  for (const Fit& part : fit.parts)
    if (!part.refused()) collect(part, trial);
}

Trial run_trial(const PlantedProcedure& planted, int bootstrap, uint64_t seed, size_t index) {
  Random random(seed + hash_name(planted.name + planted.design), "planted procedure", index);
  FitOptions options = planted.options;
  options.bootstrap = bootstrap;
  options.threads = 1;
  options.seed = mix_bits(seed + index);
  const Table table = planted.draw(1.0, random);
  const double begin = processor_seconds();
  const Fit fit = fit_law(table, options);
  Trial trial{.seconds = processor_seconds() - begin};
  for (const Diagnostic& d : fit.diagnostics)
    if (d.severity == Severity::refusal) trial.refusal = d.code;
  if (!trial.refusal.empty()) return trial;
  collect(fit, trial);
  if (!planted.at && !planted.predicted) return trial;
  RowPrediction at;
  if (planted.predicted) {
    at = planted.predicted(fit);
  } else {
    const Prediction there = predict(fit, planted.at(fit), options.level);
    at = {there.loss, there.lo, there.hi};
  }
  const double measured = planted.measured(random);
  if (!std::isfinite(measured)) return trial;
  trial.predicted = true;
  trial.inside = measured >= at.lo && measured <= at.hi;
  trial.error = at.loss / measured - 1.0;
  trial.width = (at.hi - at.lo) / std::fabs(measured);
  return trial;
}

std::string cell(double covered, size_t fits) {
  const bool good =
      fits > 200 ? covered >= 0.85 && covered <= 0.95 : covered >= 0.82 && covered <= 0.97;
  return fmt::format("{:.1f}{}", 100.0 * covered, good ? "" : " **!**");
}

// Coverage of one coefficient, and its bias where that is more than a tenth of its interval.
std::string coefficient_cell(const std::string& name, double truth,
                             const std::vector<Trial>& trials) {
  std::vector<double> values;
  size_t inside = 0;
  for (const Trial& trial : trials) {
    const auto found = trial.estimates.find(name);
    if (found == trial.estimates.end()) continue;
    values.push_back(found->second.value);
    inside += truth >= found->second.lo && truth <= found->second.hi;
  }
  if (values.empty()) return name + " -";
  const size_t fits = values.size();
  return fmt::format("{} {} ({:+.1f} %)", name,
                     cell(static_cast<double>(inside) / static_cast<double>(fits), fits),
                     100.0 * (quantile(values, 0.5) / truth - 1.0));
}

void study(const PlantedProcedure& planted, int tables, int bootstrap, int threads, uint64_t seed) {
  std::vector<Trial> trials(tables);
  parallel_for(trials.size(), threads,
               [&](size_t i) { trials[i] = run_trial(planted, bootstrap, seed, i); });
  std::vector<double> seconds, errors, widths;
  std::map<std::string, int> refusals;
  int refused = 0;
  size_t inside = 0;
  for (const Trial& trial : trials) {
    seconds.push_back(trial.seconds);
    if (!trial.refusal.empty()) ++refused, ++refusals[trial.refusal];
    if (!trial.predicted) continue;
    inside += trial.inside;
    errors.push_back(trial.error);
    widths.push_back(trial.width);
  }
  std::string coefficients;
  for (const auto& [name, truth] : planted.truth)
    coefficients += (coefficients.empty() ? "" : ", ") + coefficient_cell(name, truth, trials);
  std::string refusal_text = fmt::format("{}", refused);
  for (const auto& [code, count] : refusals) refusal_text += fmt::format(" {} {}", code, count);
  const size_t fits = errors.size();
  fmt::print("| {} | {} | {} | {} | {} | {} | {} | {} | {:.0f} |\n", planted.name, planted.design,
             tables, refusal_text, coefficients.empty() ? "-" : coefficients,
             fits ? cell(static_cast<double>(inside) / static_cast<double>(fits), fits) : "-",
             fits ? fmt::format("{:+.2g}", 100.0 * quantile(errors, 0.5)) : "-",
             fits ? fmt::format("{:.2g}", 100.0 * quantile(widths, 0.5)) : "-",
             1e3 * quantile(seconds, 0.5));
  if (!planted.note.empty()) fmt::print("|  | {} | | | | | | | |\n", planted.note);
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** values) {
  try {
    std::map<std::string, std::string> arguments = {{"--only", ""},
                                                    {"--tables", "200"},
                                                    {"--bootstrap", "200"},
                                                    {"--threads", "0"},
                                                    {"--seed", "0"}};
    for (int i = 1; i + 1 < count; i += 2) {
      if (!arguments.contains(values[i]))
        fail_usage("[procedure_coverage] Unknown option. Received {}.", values[i]);
      arguments[values[i]] = values[i + 1];
    }
    fmt::print(
        "| procedure | design | tables | refused | coefficients covered, % (median estimate over "
        "truth) | prediction at 10x covered, % | its bias, % | its width, % | ms a fit |\n"
        "|---|---|---|---|---|---|---|---|---|\n");
    for (const PlantedProcedure& planted : planted_procedures())
      if (arguments["--only"].empty() || planted.name == arguments["--only"])
        study(planted, std::atoi(arguments["--tables"].c_str()),
              std::atoi(arguments["--bootstrap"].c_str()),
              std::atoi(arguments["--threads"].c_str()),
              std::strtoull(arguments["--seed"].c_str(), nullptr, 10));
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.kind);
  }
}
