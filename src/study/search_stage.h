// What the searches share: points as settings, stages with their means, draws.
#pragma once
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "study/search.h"

namespace rung {

using SearchPoint = std::vector<std::pair<std::string, std::string>>;  // key, value

// Every point with every seed's configuration, points slowest. Fails (usage) on impossible
// settings.
std::vector<RunConfig> members_at(std::span<const RunConfig> seeds,
                                  std::span<const SearchPoint> points);

// `points` random points, as random_points says.
std::vector<SearchPoint> draw_points(std::span<const RunConfig> seeds,
                                     std::span<const Setting> over, int64_t points, uint64_t seed);

// Which keys are drawn between the ends of their list: positive numbers that are not whole.
std::vector<bool> continuous_keys(const RunConfig& config, std::span<const Setting> over);
// The ends of such a list.
std::pair<double, double> ends_of(const Setting& setting);

// Where the smallest loss is; the first of equals.
size_t lowest(const std::vector<double>& losses);

// A search under way: stages add to its outcome.
class Search {
 public:
  Search(std::span<const RunConfig> seeds, const TrainStage& train);
  // Mean losses of the points over seeds, infinite where one diverged; empty when interrupted. The
  // best replaces the winner so far when it is lower.
  std::vector<double> stage(const std::string& name, std::span<const SearchPoint> points);
  // The same with other configurations for the seeds, such as shorter runs.
  std::vector<double> stage(const std::string& name, std::span<const SearchPoint> points,
                            std::span<const RunConfig> seeds, bool may_win);
  SearchOutcome outcome;

 private:
  std::span<const RunConfig> seeds_;
  const TrainStage& train_;
};

}  // namespace rung
