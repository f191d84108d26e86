#include "study/transfer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "config/resolve.h"
#include "core/table.h"
#include "law/student.h"
#include "study/sweep.h"

namespace rung {
namespace {

constexpr double level = 0.9;

struct Family {
  std::string where;
  std::map<double, RateLine> lines;  // by value of the key
};

// The parabola in log2 lr through points i - 1, i and i + 1.
double parabola(const std::vector<BowlPoint>& points, size_t i, double x) {
  double sum = 0.0;
  for (size_t j = i - 1; j <= i + 1; ++j) {
    double term = points[j].loss;
    for (size_t k = i - 1; k <= i + 1; ++k)
      if (k != j)
        term *= (x - std::log2(points[k].lr)) / (std::log2(points[j].lr) - std::log2(points[k].lr));
    sum += term;
  }
  return sum;
}

// Loss at a rate between the measured ones (at least three): the mean of the parabolas through the
// three points on either side, which bowls that are steeper on one side than on the other follow
// too; beyond the measured rates that of the end.
double loss_at(const std::vector<BowlPoint>& points, double log2_lr) {
  if (log2_lr <= std::log2(points.front().lr)) return points.front().loss;
  if (log2_lr >= std::log2(points.back().lr)) return points.back().loss;
  size_t i = 1;
  while (log2_lr > std::log2(points[i].lr)) ++i;  // between i - 1 and i
  const size_t left = std::max<size_t>(1, i - 1), right = std::min(points.size() - 2, i);
  return 0.5 * (parabola(points, left, log2_lr) + parabola(points, right, log2_lr));
}

constexpr double step = 1.0 / 64.0;  // of log2 lr

double lowest_of(const std::vector<BowlPoint>& points) {
  double lowest = points.front().loss;
  for (double x = std::log2(points.front().lr); x <= std::log2(points.back().lr); x += step)
    lowest = std::min(lowest, loss_at(points, x));
  return lowest;
}

double slack_of(const std::vector<BowlPoint>& points, double best) {
  constexpr double tolerance = 1.01;
  int64_t inside = 0;
  const double first = std::log2(points.front().lr), last = std::log2(points.back().lr);
  for (double x = first; x <= last; x += step) inside += loss_at(points, x) <= tolerance * best;
  return static_cast<double>(inside) * step * std::log10(2.0);
}

double sensitivity_of(const std::vector<BowlPoint>& points, double best) {
  double sum = 0.0;
  for (const BowlPoint& p : points) sum += (p.loss - best) / static_cast<double>(points.size());
  return sum;
}

double slope_of(const std::vector<double>& x, const std::vector<double>& y) {
  double mx = 0.0, my = 0.0, xx = 0.0, xy = 0.0;
  const double n = static_cast<double>(x.size());
  for (size_t i = 0; i < x.size(); ++i) mx += x[i] / n, my += y[i] / n;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mx) * (x[i] - mx);
    xy += (x[i] - mx) * (y[i] - my);
  }
  return xy / xx;
}

// Optima of every seed that has three rates at every value: [seeds][values].
std::vector<std::vector<double>> seed_optima(const Family& family) {
  std::map<uint64_t, std::vector<double>> optima;
  for (const auto& [lr, losses] : family.lines.begin()->second)
    for (const auto& [seed, loss] : losses) optima[seed];
  std::vector<std::vector<double>> complete;
  for (auto& [seed, own] : optima) {
    for (const auto& [value, line] : family.lines)
      if (const auto points = of_seed(line, seed); points.size() >= 3)
        own.push_back(line_bowl(points).log2_lr);
    if (own.size() == family.lines.size()) complete.push_back(std::move(own));
  }
  return complete;
}

// By how much the optima scatter about the line of this slope, in their errors; 1 where they do
// less.
double scatter_about(const std::vector<TransferPoint>& points, double slope) {
  const double n = static_cast<double>(points.size());
  if (points.size() < 3) return 1.0;
  double centre = 0.0, squares = 0.0;
  for (const TransferPoint& p : points) centre += (p.bowl.log2_lr - slope * std::log2(p.value)) / n;
  for (const TransferPoint& p : points) {
    const double z = (p.bowl.log2_lr - slope * std::log2(p.value) - centre) / p.se;
    squares += z * z;
  }
  return std::max(1.0, std::sqrt(squares / (n - 2.0)));
}

// Slope and half its interval.
std::pair<double, double> drift_of(const std::vector<TransferPoint>& points,
                                   const std::vector<std::vector<double>>& seeds) {
  std::vector<double> x, optima;
  for (const TransferPoint& p : points) {
    x.push_back(std::log2(p.value));
    optima.push_back(p.bowl.log2_lr);
  }
  if (seeds.size() >= 2) {
    std::vector<double> slopes;
    for (const auto& own : seeds) slopes.push_back(slope_of(x, own));
    const double n = static_cast<double>(slopes.size());
    double mean = 0.0;
    for (const double s : slopes) mean += s / n;
    return {mean, student_quantile(0.5 + level / 2, static_cast<int>(slopes.size()) - 1) *
                      standard_error_of(slopes)};
  }
  // The slope is linear in the optima: their errors add in squares.
  double variance = 0.0;
  for (size_t i = 0; i < points.size(); ++i) {
    std::vector<double> unit(points.size(), 0.0);
    unit[i] = 1.0;
    const double share = slope_of(x, unit) * points[i].se;
    variance += share * share;
  }
  const double slope = slope_of(x, optima);
  return {slope, 1.645 * std::sqrt(variance) * scatter_about(points, slope)};
}

// Losses on the rates that every value of the key has.
std::vector<std::vector<double>> common_losses(const Family& family) {
  std::vector<std::vector<double>> losses(family.lines.size());
  for (const auto& [lr, unused] : family.lines.begin()->second) {
    std::vector<double> column;
    for (const auto& [value, line] : family.lines)
      if (const auto found = line.find(lr); found != line.end())
        column.push_back(seed_mean(found->second));
    if (column.size() != losses.size()) continue;
    for (size_t i = 0; i < column.size(); ++i) losses[i].push_back(column[i]);
  }
  return losses;
}

Transfer transfer_of(const std::string& key, const Family& family) {
  Transfer t{.key = key, .where = family.where};
  const std::vector<std::vector<double>> seeds = seed_optima(family);
  t.seeds = std::max<int64_t>(1, static_cast<int64_t>(seeds.size()));
  for (const auto& [value, line] : family.lines) {
    const std::vector<BowlPoint> points = seed_means_of(line);
    TransferPoint p{.value = value, .bowl = line_bowl(points)};
    p.se = p.bowl.se;
    if (seeds.size() >= 2) {
      std::vector<double> own;
      for (const auto& seed : seeds) own.push_back(seed[t.points.size()]);
      p.se = standard_error_of(own);
    }
    const double best = lowest_of(points);
    p.sensitivity = sensitivity_of(points, best);
    p.slack = slack_of(points, best);
    if (!t.points.empty())
      p.penalty = std::max(0.0, loss_at(points, t.points.front().bowl.log2_lr) / best - 1.0);
    t.points.push_back(p);
  }
  const auto [drift, half] = drift_of(t.points, seeds);
  t.drift = drift, t.lo = drift - half, t.hi = drift + half;
  double lowest = t.points.front().bowl.loss;
  for (const TransferPoint& p : t.points) lowest = std::min(lowest, p.bowl.loss);
  t.transfer_error = transfer_error(common_losses(family)) / lowest;
  return t;
}

std::optional<double> number_of(const RunConfig& config, const std::string& key) {
  const Json value = to_json(config).at(key);
  if (!value.is_number() || !(value.get<double>() > 0.0)) return std::nullopt;
  return value.get<double>();
}

}  // namespace

double transfer_error(const std::vector<std::vector<double>>& losses) {
  const auto finite = [](double x) { return std::isfinite(x) ? x : INFINITY; };
  const auto best = [&](const std::vector<double>& row) {
    return std::min_element(row.begin(), row.end(),
                            [&](double a, double b) { return finite(a) < finite(b); }) -
           row.begin();
  };
  if (losses.size() < 2 || losses.front().empty()) return 0.0;
  size_t row = 0;
  for (size_t i = 1; i < losses.size(); ++i)
    if (finite(losses[i][static_cast<size_t>(best(losses[i]))]) <
        finite(losses[row][static_cast<size_t>(best(losses[row]))]))
      row = i;
  const double least = finite(losses[row][static_cast<size_t>(best(losses[row]))]);
  double sum = 0.0;
  for (size_t i = 0; i < losses.size(); ++i)
    if (i != row) sum += finite(losses[row][static_cast<size_t>(best(losses[i]))]) - least;
  return sum / static_cast<double>(losses.size() - 1);
}

std::vector<Transfer> transfers(std::span<const RunConfig> members,
                                std::span<const RunRecord> records,
                                std::span<const std::string> keys) {
  std::vector<Transfer> found;
  for (const std::string& key : keys) {
    if (key == "train.lr" || key == "seed") continue;
    std::vector<Family> families;
    for (size_t i = 0; i < records.size(); ++i) {
      const std::optional<double> value = number_of(members[i], key);
      if (!value) continue;
      const std::string where = settings_text(members[i], keys, key);
      auto family = std::find_if(families.begin(), families.end(),
                                 [&](const Family& f) { return f.where == where; });
      if (family == families.end()) family = families.insert(families.end(), {where, {}});
      family->lines[*value][members[i].train.lr][members[i].seed] = records[i].L;
    }
    for (Family& family : families) {
      std::erase_if(family.lines,
                    [](const auto& line) { return seed_means_of(line.second).size() < 3; });
      if (family.lines.size() >= 2) found.push_back(transfer_of(key, family));
    }
  }
  return found;
}

Json to_json(const Transfer& t) {
  Json points = Json::array();
  for (const TransferPoint& p : t.points) {
    Json entry = to_json(p.bowl);
    entry["value"] = p.value;
    entry["se_log2"] = p.se;
    entry["sensitivity"] = p.sensitivity;
    entry["slack_decades"] = p.slack;
    entry["penalty"] = p.penalty;
    points.push_back(std::move(entry));
  }
  return {
      {"key", t.key},     {"where", t.where}, {"points", points},
      {"drift", t.drift}, {"lo", t.lo},       {"hi", t.hi},
      {"level", level},   {"seeds", t.seeds}, {"transfer_error", json_number(t.transfer_error)}};
}

std::string transfer_text(const Transfer& t) {
  std::vector<TableRow> rows;
  for (const TransferPoint& p : t.points)
    rows.push_back({short_number(p.value), fmt::format("{:.4g}", std::exp2(p.bowl.log2_lr)),
                    fmt::format("{:+.2f} +- {:.2f}", p.bowl.log2_lr, p.se),
                    fmt::format("{:.4f}", p.bowl.loss), fmt::format("{:.2f}", p.slack),
                    fmt::format("{:.4f}", p.sensitivity),
                    fmt::format("{:+.2f} %", 100.0 * p.penalty), p.bowl.at_edge ? "edge" : ""});
  return fmt::format("\ntransfer along {}{}\n", t.key, t.where.empty() ? "" : " at " + t.where) +
         text_table({t.key.substr(t.key.rfind('.') + 1), "best lr", "log2", "loss", "slack",
                     "sensitivity", "penalty", ""},
                    rows) +
         "slack: decades of lr within 1 %; penalty: loss above the best with the first's lr\n" +
         fmt::format(
             "drift of log2 lr per doubling of {}: {:+.3f} (90 % {:+.3f} .. {:+.3f}{}); "
             "transfer error {:.3f} %\n",
             t.key, t.drift, t.lo, t.hi,
             t.seeds == 1 ? " if seeds differ by 0.2 %: give several to measure it"
                          : fmt::format(", {} seeds", t.seeds),
             100.0 * t.transfer_error);
}

}  // namespace rung
