#include "study/search.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "study/search_stage.h"

namespace rung {

std::vector<RunConfig> random_points(std::span<const RunConfig> seeds,
                                     std::span<const Setting> over, int64_t points, uint64_t seed) {
  return members_at(seeds, draw_points(seeds, over, points, seed));
}

SearchOutcome independent_search(std::span<const RunConfig> seeds, std::span<const Setting> over,
                                 const TrainStage& train) {
  const auto rate =
      std::find_if(over.begin(), over.end(), [](const Setting& s) { return s.key == "train.lr"; });
  if (rate == over.end())
    fail_usage("[sweep] An independent search begins with learning rates. Add --over train.lr=...");
  Search search(seeds, train);
  std::vector<SearchPoint> line;
  for (const std::string& value : rate->values) line.push_back({{"train.lr", value}});
  const std::vector<double> rates = search.stage("rates", line);
  if (rates.empty()) return search.outcome;
  const SearchPoint best_rate = line[lowest(rates)];
  std::vector<SearchPoint> lines;
  for (const Setting& setting : over)
    if (setting.key != "train.lr")
      for (const std::string& value : setting.values) {
        lines.push_back(best_rate);
        lines.back().emplace_back(setting.key, value);
      }
  if (lines.empty()) return search.outcome;
  const std::vector<double> losses = search.stage("lines", lines);
  if (losses.empty()) return search.outcome;
  SearchPoint combined = best_rate;
  size_t begin = 0;
  for (const Setting& setting : over) {
    if (setting.key == "train.lr") continue;
    const size_t end = begin + setting.values.size();
    const auto best = std::min_element(losses.begin() + static_cast<std::ptrdiff_t>(begin),
                                       losses.begin() + static_cast<std::ptrdiff_t>(end));
    combined.push_back(lines[static_cast<size_t>(best - losses.begin())].back());
    begin = end;
  }
  search.stage("combined", std::vector<SearchPoint>{combined});
  return search.outcome;
}

SearchOutcome halving_search(std::span<const RunConfig> seeds, std::span<const Setting> over,
                             int64_t points, uint64_t seed, const TrainStage& train) {
  std::vector<SearchPoint> left = draw_points(seeds, over, points, seed);
  Search search(seeds, train);
  int64_t rounds = 1;
  while ((points >> (rounds - 1)) > 1) ++rounds;
  for (int64_t round = 1; round <= rounds; ++round) {
    const int64_t share = int64_t{1} << (rounds - round);
    std::vector<RunConfig> shorter(seeds.begin(), seeds.end());
    for (RunConfig& config : shorter) config.train.tokens /= share;
    const std::vector<double> losses =
        search.stage(fmt::format("round-{}", round), left, shorter, round == rounds);
    if (losses.empty() || round == rounds) break;
    std::vector<size_t> order(left.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return losses[a] < losses[b]; });
    std::vector<SearchPoint> kept;
    for (size_t i = 0; i < std::max<size_t>(1, left.size() / 2); ++i)
      kept.push_back(left[order[i]]);
    left = std::move(kept);
  }
  return search.outcome;
}

}  // namespace rung
