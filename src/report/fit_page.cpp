#include "report/fit_page.h"

#include <algorithm>
#include <cmath>

#include "report/chart_parts.h"
#include "report/climb_files.h"
#include "report/html.h"
#include "report/page_frame.h"
#include "report/sections.h"

namespace rung {
namespace {

constexpr size_t most_profiles = 12;
constexpr size_t many_rows = 60;  // beyond them marks are drawn smaller

std::string target_of(const Json& fit) {
  return text_at(fit, "target", "L");
}

// Counts of parameters, tokens and vocabularies read best with a unit, others as powers.
const char* format_of(const std::string& name, bool log) {
  if (name == "N" || name == "D" || name == "V") return "count";
  return log ? "power" : "number";
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

Json data_chart(const Json& fit, const Json& curves) {
  if (!curves.contains("lines")) return {};
  const std::string x = text_at(curves, "x"), by = text_at(curves, "by"), target = target_of(fit);
  const bool log_x = truth_at(curves, "log_x", true);
  const bool log_y = truth_at(fit, "objective/log_residual", true);
  auto chart = new_chart("data", "Measured values with the fitted law",
                         axis(x.c_str(), log_x, format_of(x, log_x)),
                         axis(target == "L" ? "loss" : target.c_str(), log_y, "number"));
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

Json residual_chart(const Json& fit, const Json& curves) {
  if (!curves.contains("lines")) return {};
  const std::string x = text_at(curves, "x");
  const bool log_x = truth_at(curves, "log_x", true);
  const bool relative = target_of(fit) == "L";
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

Json isoflop_chart(const Json& curves) {
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

std::string profile_figures(const Json& fit, Json& charts) {
  if (!fit.contains("profiles")) return {};
  const std::string percent = fmt::format("{:.0f} %", 100 * number_at(fit, "level"));
  std::string html = fmt::format(
      "<p>How much worse the best fit becomes (deviance: twice the log likelihood's loss) where "
      "one coefficient is held and the others follow. Values whose curve lies below the line are "
      "those that the data allow at {}; a flat curve means that they do not determine it.</p>\n",
      percent);
  std::string left;
  size_t count = 0;
  for (const auto& [name, profile] : fit["profiles"].items()) {
    if (++count > most_profiles) break;
    const double threshold = number_at(profile, "threshold");
    const Json& values = profile["values"];
    Json data = Json::array(), level = Json::array();
    for (size_t i = 0; i < values.size(); ++i)
      if (number_at(profile, "threshold") * 3 > profile["deviance"][i].get<double>())
        data.push_back({values[i], profile["deviance"][i]});
    if (data.empty()) continue;
    level = {{data.front()[0], threshold}, {data.back()[0], threshold}};
    // Factors of powers reach over decades.
    const double first = data.front()[0].get<double>(), last = data.back()[0].get<double>();
    const bool log = first > 0.0 && last > 10.0 * first;
    auto chart = new_chart(("profile-" + std::to_string(count)).c_str(),
                           ("Profile likelihood of " + name).c_str(),
                           axis(name.c_str(), log, "number"), axis("deviance", false, "number"));
    chart["y"]["zero"] = true;
    push_series(chart, {{"label", "profile"}, {"kind", "line"}, {"color", "law"}, {"data", data}});
    push_series(chart, {{"label", percent},
                        {"kind", "line"},
                        {"color", "target"},
                        {"thin", true},
                        {"data", level}});
    const auto side = [&](const char* key) {
      const double value = number_at(profile, key);
      return std::isfinite(value) ? show_number(value, 5) : std::string("open");
    };
    const std::string drawn =
        figure(charts, chart, escape_html(name),
               fmt::format("{} from {} to {}.", percent, side("lo"), side("hi")));
    if (left.empty()) {
      left = drawn;
    } else {
      html += side_by_side(left, drawn);
      left.clear();
    }
  }
  return html + side_by_side(left, "");
}

std::string forms_table(const Json& fit) {
  if (!fit.contains("forms")) return {};
  std::vector<TableRow> rows;
  for (const Json& form : fit["forms"])
    rows.push_back({escape_html(text_at(form, "law")), show_number(number_at(form, "weight"), 3),
                    show_number(number_at(form, "rollout_error"), 3),
                    escape_html(text_at(form, "status"))});
  return "<p>Laws weighed by how well each predicts the largest rungs from the smaller "
         "ones.</p>\n" +
         html_table({"law", "weight", "rollout error", "status"}, rows, {false, true, true, false});
}

std::string fit_header(const Json& fit, std::string_view title) {
  const bool refused = text_at(fit, "status") == "refused";
  return fmt::format(
      "<header><div class=\"brand\"><span>Rung</span> fit <span class=\"badge {}\">{}</span></div>"
      "<h1>{}</h1><p class=\"lead\">{}</p></header>\n",
      refused ? "bad" : "good", refused ? "refused" : "fitted", escape_html(title),
      refused ? "The data do not determine this law; the diagnostics say why."
              : "<code>" + escape_html(text_at(fit, "formula")) + "</code>");
}

}  // namespace

std::string fit_page(const Json& fit, const Json& curves, std::string_view title) {
  const ClimbFiles files{.fit = fit};
  Json charts = Json::array();
  std::string html = fit_header(fit, title);
  const std::string which = text_at(curves, "by").empty() ? "" : " on the last line of the legend";
  const std::string caption =
      "Circles are measured rows, lines the law, the band where a new measurement would lie" +
      which + ".";
  html += html_section("ladder", "The law",
                       law_section(files) + figure(charts, data_chart(fit, curves), "", caption));
  html += html_section("forms", "Forms", forms_table(fit));
  html += html_section(
      "error", "Against the law",
      side_by_side(figure(charts, residual_chart(fit, curves), "Residuals",
                          "A trend rather than scatter around zero means that the law bends."),
                   figure(charts, isoflop_chart(curves), "At equal FLOPs",
                          "Loss over size with D = C / 6 N; stars mark the optima.")));
  html += html_section("profiles", "Profile likelihood", profile_figures(fit, charts));
  html += html_section("checks", "Diagnostics and checklist", checks_section(files));
  return page_frame(title, html, charts);
}

}  // namespace rung
