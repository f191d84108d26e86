#include <algorithm>
#include <cmath>
#include <set>

#include "report/chart_parts.h"
#include "report/charts.h"
#include "report/html.h"

namespace rung {
namespace {

// The parabola through a point and its neighbours in (log2 lr, loss): its lowest rate.
double vertex(const std::vector<std::pair<double, double>>& points, size_t best) {
  const auto [x0, y0] = points[best - 1];
  const auto [x1, y1] = points[best];
  const auto [x2, y2] = points[best + 1];
  const double a = std::log2(x0), b = std::log2(x1), c = std::log2(x2);
  const double left = (b - a) * (y1 - y2), right = (b - c) * (y1 - y0);
  if (left == right) return x1;
  return std::exp2(b - 0.5 * ((b - a) * left - (b - c) * right) / (left - right));
}

// An optimum that the climb itself stated, from its own fit of the sweep.
void take_stated_optimum(const ClimbFiles& files, Bowl& bowl) {
  if (!files.plan.is_object() || !files.plan.contains("optima")) return;
  for (const auto& o : files.plan["optima"])
    if (number_at(o, "width") == bowl.width && number_at(o, "batch_tokens") == bowl.batch_tokens &&
        number_at(o, "D") == bowl.tokens && number_at(o, "lr") > 0)
      bowl.optimum_lr = number_at(o, "lr");
}

}  // namespace

std::vector<Bowl> find_bowls(const ClimbFiles& files) {
  std::map<std::array<double, 3>, std::map<double, std::pair<double, int>>> groups;
  for (const auto& run : files.runs)
    if (run.kind == "sweep" && run.lr > 0 && std::isfinite(run.loss)) {
      auto& [sum, count] = groups[{run.width, run.batch_tokens, run.D}][run.lr];
      sum += run.loss, ++count;
    }
  std::vector<Bowl> bowls;
  for (const auto& [key, rates] : groups) {
    if (rates.size() < 3) continue;
    Bowl bowl{key[0], key[1], key[2]};
    for (const auto& [lr, sum] : rates) bowl.points.emplace_back(lr, sum.first / sum.second);
    const auto lowest = std::min_element(bowl.points.begin(), bowl.points.end(),
                                         [](auto& a, auto& b) { return a.second < b.second; });
    const auto at = static_cast<size_t>(lowest - bowl.points.begin());
    bowl.best = lowest->second;
    bowl.at_edge = at == 0 || at + 1 == bowl.points.size();
    bowl.optimum_lr = bowl.at_edge ? lowest->first : vertex(bowl.points, at);
    take_stated_optimum(files, bowl);
    bowls.push_back(std::move(bowl));
  }
  return bowls;
}

Json bowl_chart(const ClimbFiles& files) {
  auto result = new_chart("bowl", "Loss above the best of its sweep over learning rate",
                          axis("learning rate", true, "pow2"),
                          axis("above the sweep's best, %", false, "plain"));
  const auto bowls = find_bowls(files);
  std::set<double> widths, batches;
  for (const auto& bowl : bowls) widths.insert(bowl.width), batches.insert(bowl.batch_tokens);
  Json optima = Json::array(), notes = Json::array();
  constexpr std::array shapes = {"circle", "triangle", "rect", "rectRot"};
  for (const auto& bowl : bowls) {
    const auto rank = static_cast<double>(std::distance(widths.begin(), widths.find(bowl.width)));
    const auto batch =
        static_cast<size_t>(std::distance(batches.begin(), batches.find(bowl.batch_tokens)));
    const auto label = fmt::format("width {:.0f}, batch {:.0f}, {} tokens", bowl.width,
                                   bowl.batch_tokens, show_count(bowl.tokens));
    Json series = {{"label", label},
                   {"kind", "line"},
                   {"color", "scale"},
                   {"marks", true},
                   {"shape", shapes[batch % shapes.size()]},
                   {"data", Json::array()},
                   {"notes", Json::array()}};
    series["shade"] = widths.size() > 1 ? rank / (static_cast<double>(widths.size()) - 1) : 0.5;
    for (const auto& [lr, loss] : bowl.points) {
      series["data"].push_back({lr, 100 * (loss / bowl.best - 1)});
      series["notes"].push_back("loss " + show_loss(loss));
    }
    push_series(result, std::move(series));
    optima.push_back({bowl.optimum_lr, 0.0});
    notes.push_back(label);
  }
  push_series(result, {{"label", "fitted optimum"},
                       {"kind", "points"},
                       {"color", "target"},
                       {"shape", "star"},
                       {"data", optima},
                       {"notes", notes}});
  result["y"]["cap"] = 12.0;  // far walls of a bowl would flatten its floor
  return or_null(std::move(result));
}

}  // namespace rung
