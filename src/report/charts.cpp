#include "report/charts.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "report/chart_parts.h"
#include "report/html.h"

namespace rung {
namespace {

using Points = std::vector<std::pair<double, double>>;

Json points_json(const Points& points) {
  Json array = Json::array();
  for (const auto& [x, y] : points) array.push_back({json_number(x), json_number(y)});
  return array;
}

std::string describe(const ReportRun& run) {
  return fmt::format("{}{} · N {} · D {}", run.run, run.member.empty() ? "" : " #" + run.member,
                     show_count(run.N), show_count(run.D));
}

// Runs that the leading fit leaves out, by fit.json: its regime is chosen after runs.csv was
// written.
std::set<std::string> left_out(const ClimbFiles& files) {
  std::set<std::string> names;
  if (!files.fit.is_object() || !files.fit.contains("residuals")) return names;
  for (const auto& row : files.fit["residuals"])
    if (!truth_at(row, "used", true)) names.insert(text_at(row, "run"));
  return names;
}

// Points of runs, with a note each; used and unused rungs are told apart by filled and hollow
// marks.
Json run_series(const ClimbFiles& files, const std::string& kind, bool used, const char* label) {
  Json series = {{"label", label}, {"kind", "points"}, {"color", "rung"}, {"hollow", !used}};
  series["data"] = Json::array(), series["notes"] = Json::array();
  const std::set<std::string> out = left_out(files);
  for (const auto& run : files.runs) {
    const bool fitted = run.used && !out.contains(run.run);
    if (run.kind != kind || fitted != used || !(run.C > 0) || !(run.loss > 0)) continue;
    series["data"].push_back({run.C, run.loss});
    series["notes"].push_back(describe(run));
  }
  return series;
}

// Law and band along the target's path: fit.json's `curve`, [{C, loss, lo, hi}]. `relative`: the
// band alone, in percent of the law.
void push_law(Json& chart, const ClimbFiles& files, bool relative = false) {
  if (!files.fit.is_object() || !files.fit.contains("curve")) return;
  Json band = Json::array(), line = Json::array();
  for (const auto& point : files.fit["curve"]) {
    const double c = number_at(point, "C"), loss = number_at(point, "loss");
    if (!(c > 0) || !(loss > 0)) continue;
    line.push_back({c, loss});
    const double lo = number_at(point, "lo"), hi = number_at(point, "hi");
    if (!std::isfinite(lo) || !std::isfinite(hi)) continue;
    if (relative)
      band.push_back({c, 100 * (lo / loss - 1), 100 * (hi / loss - 1)});
    else
      band.push_back({c, lo, hi});
  }
  const double level = number_at(files.prediction, "level");
  const auto label = fmt::format("{:.0f} % band", 100 * (std::isfinite(level) ? level : 0.9));
  push_series(chart, {{"label", label}, {"kind", "band"}, {"color", "law"}, {"data", band}});
  if (relative) return;
  push_series(chart, {{"label", "fitted law"}, {"kind", "line"}, {"color", "law"}, {"data", line}});
}

Json target_interval(const ClimbFiles& files) {
  const auto& p = files.prediction;
  Json series = {{"label", "prediction"},
                 {"kind", "interval"},
                 {"color", "prediction"},
                 {"data", Json::array()}};
  const double c = number_at(p, "target/C"), loss = number_at(p, "loss");
  if (c > 0 && std::isfinite(loss))
    series["data"].push_back(
        {c, loss, json_number(number_at(p, "lo")), json_number(number_at(p, "hi"))});
  return series;
}

Json target_measured(const ClimbFiles& files) {
  Json series = {{"label", "target, measured"},
                 {"kind", "points"},
                 {"color", "target"},
                 {"shape", "cross"},
                 {"data", Json::array()}};
  double c = number_at(files.prediction, "target/C");
  for (const auto& run : files.runs)
    if (run.kind == "target" && run.C > 0) c = run.C;
  const auto measured = measured_target(files);
  if (measured && c > 0) series["data"].push_back({c, measured->loss});
  return series;
}

}  // namespace

Json ladder_chart(const ClimbFiles& files) {
  auto result =
      new_chart("ladder", "Loss over training FLOPs with the fitted law and the target",
                axis("training FLOPs", true, "power"), axis("loss, nats per token", true, "loss"));
  push_law(result, files);
  push_series(result, run_series(files, "ladder", true, "rung"));
  push_series(result, run_series(files, "ladder", false, "rung, not fitted"));
  push_series(result, run_series(files, "rollout", true, "rollout"));
  push_series(result, target_interval(files));
  push_series(result, target_measured(files));
  return or_null(std::move(result));
}

Json residual_chart(const ClimbFiles& files) {
  auto result = new_chart("residuals", "Measured over fitted loss in percent",
                          axis("training FLOPs", true, "power"),
                          axis("measured over fitted, %", false, "percent"));
  result["y"]["zero"] = true;
  if (!files.fit.is_object() || !files.fit.contains("residuals")) return {};
  for (const bool used : {true, false}) {
    Json series = {{"label", used ? "rung" : "rung, not fitted"},
                   {"kind", "points"},
                   {"color", "rung"},
                   {"hollow", !used},
                   {"data", Json::array()},
                   {"notes", Json::array()}};
    for (const auto& row : files.fit["residuals"]) {
      const double c = number_at(row, "C"), ratio = number_at(row, "L") / number_at(row, "fitted");
      if (truth_at(row, "used", true) != used || !(c > 0) || !std::isfinite(ratio)) continue;
      series["data"].push_back({c, 100 * (ratio - 1)});
      series["notes"].push_back(text_at(row, "run"));
    }
    push_series(result, std::move(series));
  }
  if (result["series"].empty()) return {};
  push_law(result, files, true);
  const auto& p = files.prediction;
  const double loss = number_at(p, "loss"), c = number_at(p, "target/C");
  if (c > 0 && loss > 0) {
    Json data =
        Json::array({Json::array({c, 0.0, json_number(100 * (number_at(p, "lo") / loss - 1)),
                                  json_number(100 * (number_at(p, "hi") / loss - 1))})});
    push_series(
        result,
        {{"label", "prediction"}, {"kind", "interval"}, {"color", "prediction"}, {"data", data}});
    auto target = target_measured(files);
    for (auto& point : target["data"]) point[1] = 100 * (point[1].get<double>() / loss - 1);
    push_series(result, std::move(target));
  }
  return result;
}

Json curves_chart(const ClimbFiles& files) {
  auto result = new_chart("curves", "Training loss over tokens", axis("tokens", true, "count"),
                          axis("training loss, nats per token", true, "loss"));
  std::set<double> sizes;
  for (const auto& curve : files.curves)
    if (curve.kind != "sweep" && curve.kind != "target") sizes.insert(curve.N);
  std::set<std::string> named;
  const auto add = [&](const ReportCurve& curve, const char* color, const std::string& label) {
    Json series = {{"label", label},
                   {"kind", "line"},
                   {"color", color},
                   {"name", curve.name},
                   {"legend", named.insert(label).second},
                   {"data", points_json(curve.points)}};
    series["thin"] = curve.kind == "sweep";
    if (curve.kind == "target") series["bold"] = true;
    if (std::string_view(color) == "scale") {
      const auto rank = static_cast<double>(std::distance(sizes.begin(), sizes.find(curve.N)));
      series["shade"] = sizes.size() > 1 ? rank / (static_cast<double>(sizes.size()) - 1) : 0.5;
    }
    push_series(result, std::move(series));
  };
  for (const auto& curve : files.curves)
    if (curve.kind == "sweep") add(curve, "muted", "sweep members");
  std::vector<const ReportCurve*> ladder;
  for (const auto& curve : files.curves)
    if (curve.kind != "sweep" && curve.kind != "target") ladder.push_back(&curve);
  std::stable_sort(ladder.begin(), ladder.end(), [](auto* a, auto* b) { return a->N < b->N; });
  for (const auto* curve : ladder) add(*curve, "scale", "N " + show_count(curve->N));
  for (const auto& curve : files.curves)
    if (curve.kind == "target") add(curve, "target", "target");
  return or_null(std::move(result));
}

Json sources_chart(const ClimbFiles& files) {
  if (!files.prediction.is_object() || !files.prediction.contains("sources")) return {};
  const double loss = number_at(files.prediction, "loss");
  Json bars = Json::array();
  for (const auto& [name, value] : files.prediction["sources"].items()) {
    double half = value.is_number() ? value.get<double>() : number_at(value, "half_width");
    if (!std::isfinite(half)) half = 0.5 * (number_at(value, "hi") - number_at(value, "lo"));
    if (std::isfinite(half))
      bars.push_back(
          {{"name", name}, {"value", half}, {"percent", json_number(100 * half / loss)}});
  }
  if (bars.empty()) return {};
  const double half = 0.5 * (number_at(files.prediction, "hi") - number_at(files.prediction, "lo"));
  bars.push_back({{"name", "whole interval"},
                  {"value", json_number(half)},
                  {"percent", json_number(100 * half / loss)},
                  {"total", true}});
  return {{"id", "sources"}, {"label", "Half-width of the interval by source"}, {"bars", bars}};
}

}  // namespace rung
