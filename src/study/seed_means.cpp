#include "study/seed_means.h"

#include <algorithm>
#include <map>

#include "config/resolve.h"
#include "core/table.h"
#include "law/student.h"
#include "study/sweep.h"

namespace rung {
namespace {

std::vector<std::string> without_seed(const std::vector<std::string>& keys) {
  std::vector<std::string> own;
  for (const std::string& key : keys)
    if (key != "seed") own.push_back(key);
  return own;
}

// The interval of a difference of two means, from both samples' pooled deviation.
void compare(SeedMean& mean, const SeedMean& best) {
  mean.behind = mean.L - best.L;
  const int freedom = mean.seeds + best.seeds - 2;
  if (mean.seeds < 2 || best.seeds < 2) return;
  const double squares =
      (mean.seeds - 1) * mean.sd * mean.sd + (best.seeds - 1) * best.sd * best.sd;
  const double se = std::sqrt(squares / freedom * (1.0 / mean.seeds + 1.0 / best.seeds));
  const double half = student_quantile(0.95, freedom) * se;
  mean.lo = mean.behind - half, mean.hi = mean.behind + half;
}

}  // namespace

std::vector<SeedMean> seed_means(std::span<const RunConfig> members,
                                 std::span<const RunRecord> records,
                                 const std::vector<std::string>& keys) {
  const std::vector<std::string> own = without_seed(keys);
  std::map<std::string, size_t> places;  // by setting
  std::vector<SeedMean> means;
  std::vector<std::vector<double>> losses;
  for (size_t i = 0; i < records.size(); ++i) {
    std::string setting;
    for (const std::string& key : own) setting += field_text(members[i], key) + "\n";
    const auto [place, fresh] = places.emplace(setting, means.size());
    if (fresh) {
      means.push_back({.first = i, .C = records[i].C});
      losses.emplace_back();
    }
    if (std::isfinite(records[i].L))
      losses[place->second].push_back(records[i].L);
    else
      ++means[place->second].diverged;
  }
  bool several = false;
  for (size_t k = 0; k < means.size(); ++k) {
    SeedMean& mean = means[k];
    mean.seeds = static_cast<int>(losses[k].size());
    several = several || mean.seeds + mean.diverged > 1;
    if (mean.seeds == 0) continue;
    mean.L = 0.0;
    for (const double loss : losses[k]) mean.L += loss / mean.seeds;
    double squares = 0.0;
    for (const double loss : losses[k]) squares += (loss - mean.L) * (loss - mean.L);
    if (mean.seeds > 1) mean.sd = std::sqrt(squares / (mean.seeds - 1));
  }
  if (!several || means.size() < 2) return {};
  std::stable_sort(means.begin(), means.end(), [](const SeedMean& a, const SeedMean& b) {
    return std::isfinite(a.L) && (!std::isfinite(b.L) || a.L < b.L);
  });
  for (size_t k = 1; k < means.size(); ++k) compare(means[k], means.front());
  return means;
}

std::string seed_means_text(std::span<const SeedMean> means, std::span<const RunConfig> members,
                            const std::vector<std::string>& keys) {
  const std::vector<std::string> own = without_seed(keys);
  TableRow head(own.begin(), own.end());
  head.insert(head.end(), {"seeds", "FLOPs", "mean", "sd", "behind", "90 % from", "to", ""});
  std::vector<TableRow> rows;
  double least = means.front().C, most = least;
  const auto four = [](const char* form, double x) {
    return std::isfinite(x) ? fmt::format(fmt::runtime(form), x) : std::string();
  };
  for (const SeedMean& mean : means) {
    least = std::min(least, mean.C), most = std::max(most, mean.C);
    const bool best = &mean == &means.front(), known = std::isfinite(mean.lo);
    TableRow row;
    for (const std::string& key : own) row.push_back(field_text(members[mean.first], key));
    row.push_back(mean.diverged ? fmt::format("{} of {}", mean.seeds, mean.seeds + mean.diverged)
                                : fmt::format("{}", mean.seeds));
    row.push_back(fmt::format("{:.3g}", mean.C));
    row.push_back(std::isfinite(mean.L) ? fmt::format("{:.4f}", mean.L) : "diverged");
    row.push_back(four("{:.4f}", mean.sd));
    row.push_back(best ? "" : four("{:+.4f}", mean.behind));
    row.push_back(four("{:+.4f}", mean.lo));
    row.push_back(four("{:+.4f}", mean.hi));
    row.emplace_back(best ? "best" : known && !mean.beyond_seeds() ? "within seeds' noise" : "");
    rows.push_back(std::move(row));
  }
  constexpr double equal = 1.05;
  std::string text = text_table(head, rows);
  if (most > equal * least)
    text += fmt::format(
        "FLOPs of one run differ up to {:.3g} times: no comparison at equal compute, which `rung "
        "climb --compare` makes\n",
        most / least);
  return text;
}

Json to_json(std::span<const SeedMean> means, std::span<const RunConfig> members,
             const std::vector<std::string>& keys) {
  Json list = Json::array();
  for (const SeedMean& mean : means) {
    Json settings = Json::object();
    const Json config = to_json(members[mean.first]);
    for (const std::string& key : without_seed(keys)) settings[key] = config.at(key);
    list.push_back({{"settings", settings},
                    {"seeds", mean.seeds},
                    {"diverged", mean.diverged},
                    {"flops", mean.C},
                    {"loss", json_number(mean.L)},
                    {"sd", json_number(mean.sd)},
                    {"behind", json_number(mean.behind)},
                    {"lo", json_number(mean.lo)},
                    {"hi", json_number(mean.hi)}});
  }
  return list;
}

}  // namespace rung
