#include "study/search_stage.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/number.h"
#include "core/random.h"

namespace rung {

std::vector<RunConfig> members_at(std::span<const RunConfig> seeds,
                                  std::span<const SearchPoint> points) {
  std::vector<RunConfig> members;
  for (const SearchPoint& point : points)
    for (RunConfig config : seeds) {
      for (const auto& [key, value] : point) apply_setting(config, key, value);
      validate(config);
      members.push_back(std::move(config));
    }
  return members;
}

namespace {

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

SearchPoint random_point(const std::vector<bool>& continuous, std::span<const Setting> over,
                         Random& random) {
  SearchPoint point;
  for (size_t i = 0; i < over.size(); ++i) {
    const Setting& setting = over[i];
    const double u = random.uniform();
    if (!continuous[i]) {
      const auto at = static_cast<size_t>(u * static_cast<double>(setting.values.size()));
      point.emplace_back(setting.key, setting.values[at]);
      continue;
    }
    const auto [low, high] = ends_of(setting);
    point.emplace_back(setting.key, number_text(low * std::pow(high / low, u)));
  }
  return point;
}

}  // namespace

size_t lowest(const std::vector<double>& losses) {
  return static_cast<size_t>(std::min_element(losses.begin(), losses.end()) - losses.begin());
}

Search::Search(std::span<const RunConfig> seeds, const TrainStage& train)
    : seeds_(seeds), train_(train) {
  outcome.winner = seeds.front();
  outcome.loss = NAN;
}

std::vector<double> Search::stage(const std::string& name, std::span<const SearchPoint> points) {
  return stage(name, points, seeds_, true);
}

std::vector<double> Search::stage(const std::string& name, std::span<const SearchPoint> points,
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

std::vector<bool> continuous_keys(const RunConfig& config, std::span<const Setting> over) {
  const Json fields = to_json(config);
  const auto positive = [](const std::string& text) {
    return parse_number(text).value_or(0.0) > 0.0;
  };
  std::vector<bool> continuous;
  for (const Setting& setting : over)
    continuous.push_back(fields.at(setting.key).is_number_float() &&
                         std::all_of(setting.values.begin(), setting.values.end(), positive));
  return continuous;
}

std::pair<double, double> ends_of(const Setting& setting) {
  double low = INFINITY, high = 0.0;
  for (const std::string& text : setting.values) {
    low = std::min(low, *parse_number(text));
    high = std::max(high, *parse_number(text));
  }
  return {low, high};
}

std::vector<SearchPoint> draw_points(std::span<const RunConfig> seeds,
                                     std::span<const Setting> over, int64_t points, uint64_t seed) {
  if (points < 1) fail_usage("[sweep] --points must be at least 1. Received {}.", points);
  Random random(seed, "random search");
  const std::vector<bool> continuous = continuous_keys(seeds.front(), over);
  std::vector<SearchPoint> drawn;
  for (int64_t i = 0; i < points; ++i) drawn.push_back(random_point(continuous, over, random));
  return drawn;
}

}  // namespace rung
