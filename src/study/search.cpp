#include "study/search.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "config/number.h"
#include "core/error.h"
#include "core/random.h"

namespace rung {
namespace {

using Point = std::vector<std::pair<std::string, std::string>>;  // key, value

std::vector<RunConfig> members_at(std::span<const RunConfig> seeds, std::span<const Point> points) {
  std::vector<RunConfig> members;
  for (const Point& point : points)
    for (RunConfig config : seeds) {
      for (const auto& [key, value] : point) apply_setting(config, key, value);
      validate(config);
      members.push_back(std::move(config));
    }
  return members;
}

// Mean loss of every point, in order; infinite where a seed diverged.
std::vector<double> point_losses(std::span<const RunRecord> records, size_t seeds) {
  std::vector<double> losses;
  for (size_t i = 0; i + seeds <= records.size(); i += seeds) {
    double sum = 0.0;
    for (size_t s = 0; s < seeds; ++s) sum += records[i + s].L / static_cast<double>(seeds);
    losses.push_back(std::isfinite(sum) ? sum : INFINITY);
  }
  return losses;
}

size_t lowest(const std::vector<double>& losses) {
  return static_cast<size_t>(std::min_element(losses.begin(), losses.end()) - losses.begin());
}

class Search {
 public:
  Search(std::span<const RunConfig> seeds, const TrainStage& train) : seeds_(seeds), train_(train) {
    outcome.winner = seeds.front();
    outcome.loss = NAN;
  }

  // Losses of the points; empty when interrupted. A winner among them replaces the one so far.
  std::vector<double> stage(const std::string& name, std::span<const Point> points,
                            std::span<const RunConfig> seeds, bool may_win) {
    const std::vector<RunConfig> members = members_at(seeds, points);
    const StudyResult result = train_(name, members);
    outcome.seconds += result.seconds;
    outcome.interrupted = result.interrupted;
    if (result.interrupted) return {};
    outcome.members.insert(outcome.members.end(), members.begin(), members.end());
    outcome.records.insert(outcome.records.end(), result.records.begin(), result.records.end());
    outcome.points += static_cast<int64_t>(points.size());
    const std::vector<double> losses = point_losses(result.records, seeds.size());
    const size_t best = lowest(losses);
    if (may_win && std::isfinite(losses[best]) && !(outcome.loss <= losses[best])) {
      outcome.loss = losses[best];
      outcome.winner = members[best * seeds.size()];
    }
    return losses;
  }

  std::vector<double> stage(const std::string& name, std::span<const Point> points) {
    return stage(name, points, seeds_, true);
  }

  SearchOutcome outcome;

 private:
  std::span<const RunConfig> seeds_;
  const TrainStage& train_;
};

// A positive number that is not whole in the configuration.
bool continuous(const RunConfig& config, const Setting& setting) {
  if (!to_json(config).at(setting.key).is_number_float()) return false;
  return std::all_of(setting.values.begin(), setting.values.end(), [](const std::string& text) {
    const auto value = parse_number(text);
    return value && *value > 0.0;
  });
}

Point random_point(const RunConfig& config, std::span<const Setting> over, Random& random) {
  Point point;
  for (const Setting& setting : over) {
    const double u = random.uniform();
    if (!continuous(config, setting)) {
      const auto at = static_cast<size_t>(u * static_cast<double>(setting.values.size()));
      point.emplace_back(setting.key, setting.values[at]);
      continue;
    }
    double low = INFINITY, high = 0.0;
    for (const std::string& text : setting.values) {
      low = std::min(low, *parse_number(text));
      high = std::max(high, *parse_number(text));
    }
    point.emplace_back(setting.key, number_text(low * std::pow(high / low, u)));
  }
  return point;
}

std::vector<Point> draw_points(std::span<const RunConfig> seeds, std::span<const Setting> over,
                               int64_t points, uint64_t seed) {
  if (points < 1) fail_usage("[sweep] --points must be at least 1. Received {}.", points);
  Random random(seed, "random search");
  std::vector<Point> drawn;
  for (int64_t i = 0; i < points; ++i) drawn.push_back(random_point(seeds.front(), over, random));
  return drawn;
}

}  // namespace

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
  std::vector<Point> line;
  for (const std::string& value : rate->values) line.push_back({{"train.lr", value}});
  const std::vector<double> rates = search.stage("rates", line);
  if (rates.empty()) return search.outcome;
  const Point best_rate = line[lowest(rates)];
  std::vector<Point> lines;
  for (const Setting& setting : over)
    if (setting.key != "train.lr")
      for (const std::string& value : setting.values) {
        lines.push_back(best_rate);
        lines.back().emplace_back(setting.key, value);
      }
  if (lines.empty()) return search.outcome;
  const std::vector<double> losses = search.stage("lines", lines);
  if (losses.empty()) return search.outcome;
  Point combined = best_rate;
  size_t begin = 0;
  for (const Setting& setting : over) {
    if (setting.key == "train.lr") continue;
    const size_t end = begin + setting.values.size();
    const auto best = std::min_element(losses.begin() + static_cast<std::ptrdiff_t>(begin),
                                       losses.begin() + static_cast<std::ptrdiff_t>(end));
    combined.push_back(lines[static_cast<size_t>(best - losses.begin())].back());
    begin = end;
  }
  search.stage("combined", std::vector<Point>{combined});
  return search.outcome;
}

SearchOutcome halving_search(std::span<const RunConfig> seeds, std::span<const Setting> over,
                             int64_t points, uint64_t seed, const TrainStage& train) {
  std::vector<Point> left = draw_points(seeds, over, points, seed);
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
    std::vector<Point> kept;
    for (size_t i = 0; i < std::max<size_t>(1, left.size() / 2); ++i)
      kept.push_back(left[order[i]]);
    left = std::move(kept);
  }
  return search.outcome;
}

}  // namespace rung
