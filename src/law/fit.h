// One fitter for every law: rows of a table -> start grid -> one polish of the true objective ->
// uncertainty -> diagnostics. What the data do not determine is refused with typed reasons instead
// of being returned.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "core/progress.h"
#include "law/law.h"
#include "law/objective.h"
#include "law/table.h"

namespace rung {

// Rows are drawn with replacement, or blocks of consecutive rows of a run (learning curves), or
// noise is drawn around the fitted law (for few points).
enum class Resampling { automatic, rows, blocks, parametric };

struct Prior {
  double mean = 0.0, sd = 1.0;  // of the coefficient; of its logarithm where the law searches it so
};

struct FitOptions {
  std::string law = "chinchilla";            // a name, or a text that makes a law (LawFamily)
  std::shared_ptr<const Table> schedules{};  // of the runs, for learning curves: law/schedule.h
  // Quantity or input -> column: {"L", "loss"}, {"x", "N"}.
  std::map<std::string, std::string> columns{};
  std::string where{};          // filter expression (law/expression.h)
  std::string objective{};      // empty: the law's own
  double delta = 1e-3;          // Huber's threshold
  double tau = 0.5;             // of the quantile objective
  std::string weight_column{};  // weights of the rows, >= 0
  std::string sd_column{};      // standard deviation of the target: weight 1/max(sd, floor)^2
  double sd_floor = 1e-3;       // relative to the target
  std::map<std::string, double> fixed{};                      // coefficient -> value
  std::map<std::string, std::pair<double, double>> bounds{};  // coefficient -> [lo, hi]
  std::vector<std::pair<std::string, std::string>> ties{};    // the first takes the second's value
  std::map<std::string, Prior> priors{};  // calibrated with least-squares and an sd column
  int bootstrap = 1000;                   // 0: intervals from the sandwich covariance
  Resampling resampling = Resampling::automatic;
  std::string cluster_column{};  // rows of one value (a run) are resampled together
  bool profile = false;          // profile likelihood of every free coefficient
  uint64_t seed = 0;
  double level = 0.9;
  std::map<std::string, double> settings{};  // of a procedure (law/procedure.h)
  int threads = 0;                           // 0: one per core; results do not depend on it
  bool refuse = true;                   // false: keep the numbers and turn refusals into warnings
  std::function<bool()> interrupted{};  // polled from every thread; once true, the fit fails
  std::function<void(const Progress&)> progress{};  // called often, by one thread at a time
};

enum class Severity { note, warning, refusal };
std::string_view severity_name(Severity severity);

struct Diagnostic {
  std::string code;  // stable: see law/diagnose.h
  Severity severity = Severity::warning;
  std::string text;
};

struct Estimate {
  std::string name;
  double value = 0.0;
  double se = 0.0, lo = 0.0, hi = 0.0;  // NaN where unknown; equal to value where fixed
  bool fixed = false;
  std::string tied_to{};  // the coefficient whose value it takes
};

// The profile likelihood of one coefficient: the objective minimised over all others.
struct Profile {
  std::string name;
  std::vector<double> values, objective, deviance;  // ascending values; the optimum among them
  // Of the deviance: chi-square of one degree of freedom at the fit's level.
  double threshold = 0.0;
  double lo = 0.0, hi = 0.0;  // where the deviance crosses it; NaN on a side that stays open
};

// A fitted row, for drawing.
struct FittedRow {
  std::vector<double> inputs;
  double measured = 0.0, law = 0.0;
};

struct Procedure;

// How the noise of a new measurement grows over the inputs, from what resampling says about each
// point: its deviation is that of `noise` times exp(offset + sum of slope ln input), at least 1.
// Empty: the same everywhere.
struct NoiseGrowth {
  double offset = 0.0;
  std::vector<double> slopes{};  // one an input
  double at(const std::vector<double>& inputs) const;
};

struct Range {
  double min = 0.0, max = 0.0;
};

// Of a coefficient at its bound: all coefficients with it at the far end of what the data allow.
struct OpenEnd {
  std::string coefficient;
  double bound = 0.0;
  std::vector<double> values{};  // in the law's order
};

// A fitted law: all that `predict` needs, and the record of how it came about. A refused fit has no
// coefficients.
struct Fit {
  const Law* law = nullptr;
  std::shared_ptr<const Law> made{};  // holds `law` where it was made at run time
  Objective objective;
  double objective_value = 0.0;
  size_t points = 0, rows_read = 0;
  // What each input of the law stands for: N, D, C or a column's name.
  std::vector<std::string> inputs;
  std::vector<Estimate> coefficients;
  std::vector<Profile> profiles;     // where asked for
  std::vector<FittedRow> fitted;     // an even choice of the rows
  std::vector<OpenEnd> open_ends{};  // unless the caller turned refusals off
  double level = 0.9;
  std::vector<std::vector<double>> samples;  // coefficients of each resample: [bootstrap][K]
  // Factor on `noise` for each resample (uncertainty of the noise itself).
  std::vector<double> sample_noise;
  std::vector<double> noise;  // sorted quantiles of the residuals, corrected for degrees of freedom
  NoiseGrowth noise_growth{};
  double residual_rms = 0.0;            // in the objective's unit: of ln(measured / law), or raw
  double condition = 0.0;               // of the Hessian in theta
  std::map<std::string, Range> ranges;  // of the data: N, D, C where known, and every input
  std::vector<Diagnostic> diagnostics;
  Json checklist;
  // Of a procedure: what was derived and how, and the fits of its further quantities.
  const Procedure* procedure = nullptr;
  std::vector<Fit> parts;
  Json derivation;
  std::string data_sha256;
  double seconds = 0.0;

  bool refused() const;
  std::vector<double> values() const;  // coefficients in the law's order
};

// Deviations and intervals of the coefficients from the fit's samples.
void summarise_samples(Fit& fit);

// A law, or a procedure that derives points and fits its laws to them. Fails (exit 1) on bad
// values, naming their rows; usage errors for unknown names; a refusal is a
// Fit.
Fit fit_law(const Table& table, const FitOptions& options);

// The same with a law that need not be in the table of laws (options.law is not read).
Fit fit_law(const Law& law, const Table& table, const FitOptions& options);

}  // namespace rung
