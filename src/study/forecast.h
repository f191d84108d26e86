// From the ladder's measured losses to the target's predicted loss and its interval.
#pragma once
#include <cmath>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/json.h"
#include "law/fit.h"
#include "law/predict.h"
#include "study/climb_plan.h"
#include "study/measures.h"
#include "study/runs_csv.h"

namespace rung {

inline Point point_of(const PathPoint& p) {
  return {{"N", static_cast<double>(p.N)}, {"D", static_cast<double>(p.tokens)}, {"C", p.C}};
}

struct Forecast {
  Prediction prediction;
  double seed_sd = 0.0;     // of ln L, between seeds
  double rollout_sd = 0.0;  // of ln L: what rollout showed beyond the fits' own uncertainty
  double bend_sd = 0.0;     // of ln L: a slope that still steepens (study/bend.h)
  double extra_sd() const { return std::hypot(rollout_sd, bend_sd); }
  Json candidates;  // law, regime, weight, error on held-out rungs, prediction of each
  Json sources;     // half-widths in nats at the stated level: fit, seeds, form,
                    // rollout, bend
  std::vector<Fit> fits;
  std::vector<double> weights;
  size_t best = 0;  // the candidate of the largest weight
};

struct ForecastOptions {
  std::string law{};  // empty: chosen by rollout
  double level = 0.9;
  uint64_t seed = 1;
  Measures measures{};
};

// Fails (usage) for a law that is unknown or has several variables.
void check_path_law(const std::string& law);

// One-variable laws along the path, with none to four of the smallest rungs left out, weighted by
// how well they predict the largest rungs from the smaller ones. Refuses (exit 3) with fewer than
// four rungs or rows.
Forecast forecast(std::span<const RunRecord> ladder, const PathPoint& target,
                  const ForecastOptions& options);

// The target's loss, predicted once more from a climb's runs.csv and compared with what was
// measured (NaN: not yet). With `ahead` only rungs of at most 1/ahead of the target's FLOPs enter.
// Writes nothing.
Json forecast_again(const std::filesystem::path& folder, const ForecastOptions& options,
                    double ahead = 0.0);

// Sets relative_error and inside of a record whose `predicted` holds loss, lo and hi.
void judge(Json& record, double measured);

// fit.json: the leading candidate's fit, with the mixture's curve along the path and each run's
// residual.
Json forecast_json(const Forecast& forecast, std::span<const RunRecord> ladder,
                   const std::vector<PathPoint>& path);

}  // namespace rung
