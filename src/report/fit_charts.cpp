#include "report/fit_charts.h"

#include <algorithm>
#include <cmath>

#include "report/chart_parts.h"
#include "report/climb_files.h"

namespace rung {
namespace {

constexpr size_t many_rows = 60;  // beyond them marks are drawn smaller

std::string target_of(const Json& fit) {
  return text_at(fit, "target", "L");
}

bool is_count(const std::string& name) {
  constexpr std::string_view counts[] = {"N", "D", "V", "N_opt", "D_opt", "Nnv", "Nv", "H"};
  return std::find(std::begin(counts), std::end(counts), name) != std::end(counts);
}

// Counts of parameters, tokens and vocabularies read best with a unit, others as powers.
const char* format_of(const std::string& name, bool log) {
  return is_count(name) ? "count" : log ? "power" : "number";
}

std::string show_input(const std::string& name, double value) {
  return name == "N" || name == "D" ? show_count(value) : show_number(value, 3);
}

// Which line a value belongs to: the nearest in ratio, else in distance.
size_t nearest_line(const Json& lines, double value) {
  size_t best = 0;
  double least = INFINITY;
  for (size_t i = 0; i < lines.size(); ++i) {
    const double at = number_at(lines[i], "value");
    const double gap =
        at > 0 && value > 0 ? std::fabs(std::log(value / at)) : std::fabs(value - at);
    if (gap < least) least = gap, best = i;
  }
  return best;
}

}  // namespace

Json fit_data_chart(const Json& fit, const Json& curves, const char* id) {
  if (!curves.contains("lines")) return {};
  const std::string x = text_at(curves, "x"), by = text_at(curves, "by"), target = target_of(fit);
  const bool log_x = truth_at(curves, "log_x", true);
  const bool log_y = truth_at(fit, "objective/log_residual", true);
  auto chart = new_chart(
      id, "Measured values with the fitted law", axis(x.c_str(), log_x, format_of(x, log_x)),
      axis(target == "L" ? "loss" : target.c_str(), log_y, is_count(target) ? "count" : "number"));
  const Json& lines = curves["lines"];
  std::vector<Json> points(lines.size(), Json::array());
  const auto at = static_cast<size_t>(number_at(curves, "x_index"));
  const Json& rows = fit["fitted"];
  for (size_t i = 0; i < rows["inputs"].size(); ++i) {
    const Json& inputs = rows["inputs"][i];
    const size_t group =
        by.empty()
            ? 0
            : nearest_line(
                  lines, inputs[static_cast<size_t>(number_at(curves, "by_index"))].get<double>());
    points[group].push_back({inputs[at], rows["measured"][i]});
  }
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string label =
        by.empty() ? "law" : by + " " + show_input(by, number_at(lines[i], "value"));
    const Json color = by.empty() ? "law" : "scale";
    const double shade = shade_of(i, lines.size());
    if (!lines[i]["band"].empty())
      push_series(chart, {{"label", fmt::format("{:.0f} % band", 100 * number_at(fit, "level"))},
                          {"kind", "band"},
                          {"color", color},
                          {"shade", shade},
                          {"data", lines[i]["band"]}});
    push_series(chart, {{"label", label},
                        {"kind", "line"},
                        {"color", color},
                        {"shade", shade},
                        {"data", lines[i]["points"]}});
    push_series(chart, {{"label", by.empty() ? "measured" : label + ", measured"},
                        {"kind", "points"},
                        {"color", by.empty() ? "rung" : "scale"},
                        {"shade", shade},
                        {"legend", by.empty()},
                        {"small", rows["inputs"].size() > many_rows},
                        {"data", points[i]}});
  }
  return or_null(std::move(chart));
}

Json fit_residual_chart(const Json& fit, const Json& curves) {
  if (!curves.contains("lines")) return {};
  const std::string x = text_at(curves, "x");
  const bool log_x = truth_at(curves, "log_x", true);
  const bool relative = target_of(fit) == "L" || truth_at(fit, "objective/log_residual", false);
  auto chart = new_chart("residuals", "Measured against the law",
                         axis(x.c_str(), log_x, format_of(x, log_x)),
                         axis(relative ? "measured over law, %" : "measured minus law", false,
                              relative ? "percent" : "number"));
  chart["y"]["zero"] = true;
  Json data = Json::array();
  const auto at = static_cast<size_t>(number_at(curves, "x_index"));
  const Json& rows = fit["fitted"];
  for (size_t i = 0; i < rows["inputs"].size(); ++i) {
    const double measured = rows["measured"][i].get<double>();
    if (!rows["law"][i].is_number()) continue;
    const double law = rows["law"][i].get<double>();
    data.push_back({rows["inputs"][i][at],
                    json_number(relative ? 100 * (measured / law - 1) : measured - law)});
  }
  push_series(chart, {{"label", "measured"},
                      {"kind", "points"},
                      {"color", "rung"},
                      {"small", data.size() > many_rows},
                      {"data", data}});
  return or_null(std::move(chart));
}

Json fit_isoflop_chart(const Json& curves) {
  if (!curves.contains("isoflop")) return {};
  auto chart = new_chart("isoflop", "The law at equal training FLOPs", axis("N", true, "count"),
                         axis("loss", true, "number"));
  Json optima = Json::array();
  const Json& lines = curves["isoflop"];
  for (size_t i = 0; i < lines.size(); ++i) {
    const Json& points = lines[i]["points"];
    push_series(chart, {{"label", fmt::format("C {:.1e}", number_at(lines[i], "C"))},
                        {"kind", "line"},
                        {"color", "scale"},
                        {"shade", shade_of(i, lines.size())},
                        {"data", points}});
    const auto best = std::min_element(points.begin(), points.end(), [](auto& a, auto& b) {
      return a[1].is_number() && (!b[1].is_number() || a[1] < b[1]);
    });
    if (best != points.begin() && best + 1 != points.end()) optima.push_back(*best);
  }
  push_series(chart, {{"label", "optimum"},
                      {"kind", "points"},
                      {"color", "target"},
                      {"shape", "star"},
                      {"data", optima}});
  return or_null(std::move(chart));
}

// The rows of a procedure's budgets with the curves that their minima were read from.
Json fit_budgets_chart(const Json& fit) {
  if (!fit.contains("derivation") || !fit["derivation"].contains("budget_curves")) return {};
  auto chart = new_chart("budgets", "Losses at each budget", axis("N", true, "count"),
                         axis("loss", true, "number"));
  const Json& curves = fit["derivation"]["budget_curves"];
  for (size_t i = 0; i < curves.size(); ++i) {
    const std::string label = fmt::format("C {:.1e}", number_at(curves[i], "C"));
    const double shade = shade_of(i, curves.size());
    push_series(chart, {{"label", label},
                        {"kind", "line"},
                        {"color", "scale"},
                        {"shade", shade},
                        {"data", curves[i]["curve"]}});
    push_series(chart, {{"label", label + ", measured"},
                        {"kind", "points"},
                        {"color", "scale"},
                        {"shade", shade},
                        {"legend", curves[i]["curve"].empty()},
                        {"data", curves[i]["rows"]}});
  }
  Json optima = Json::array();
  for (const Json& budget : fit["derivation"].value("budgets", Json::array()))
    if (text_at(budget, "status") == "used" && budget.contains("N_opt"))
      optima.push_back({budget["N_opt"], budget["L_opt"]});
  push_series(chart, {{"label", "minimum"},
                      {"kind", "points"},
                      {"color", "target"},
                      {"shape", "star"},
                      {"data", optima}});
  return or_null(std::move(chart));
}

}  // namespace rung
