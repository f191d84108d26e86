// What seeds leave of a sweep's differences: each setting's mean over its seeds, and how far it is
// behind the best with an interval.
#pragma once
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "config/config.h"
#include "core/json.h"
#include "study/runs_csv.h"

namespace rung {

struct SeedMean {
  size_t first = 0;             // a member with these settings
  int seeds = 0, diverged = 0;  // that ended, and that did not
  double C = 0.0;               // FLOPs of one
  double L = NAN, sd = NAN;     // mean of those that ended, and their deviation
  double behind = 0.0;          // L less that of the lowest mean
  double lo = NAN, hi = NAN;    // its 90 % interval; NaN for the lowest and where a deviation lacks
  bool beyond_seeds() const { return lo > 0.0; }
};

// Members that differ in `keys`, the seed aside, are settings of their own; lowest mean first,
// those without any loss last. Intervals are Student's of two samples with one deviation. Empty
// where no setting has two seeds.
std::vector<SeedMean> seed_means(std::span<const RunConfig> members,
                                 std::span<const RunRecord> records,
                                 const std::vector<std::string>& keys);

// A table, and a line where FLOPs differ too.
std::string seed_means_text(std::span<const SeedMean> means, std::span<const RunConfig> members,
                            const std::vector<std::string>& keys);
Json to_json(std::span<const SeedMean> means, std::span<const RunConfig> members,
             const std::vector<std::string>& keys);

}  // namespace rung
