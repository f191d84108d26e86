#include "report/fit_page.h"

#include <algorithm>
#include <cmath>

#include "report/chart_parts.h"
#include "report/climb_files.h"
#include "report/fit_charts.h"
#include "report/html.h"
#include "report/page_frame.h"
#include "report/sections.h"

namespace rung {
namespace {

constexpr size_t most_profiles = 12;

// A procedure's further quantities over their inputs, two side by side.
std::string part_figures(const Json& fit, const Json& curves, Json& charts) {
  if (!fit.contains("parts") || !curves.contains("parts")) return {};
  std::string html, left;
  for (size_t i = 0; i < fit["parts"].size() && i < curves["parts"].size(); ++i) {
    const Json& part = fit["parts"][i];
    const std::string id = "part-" + std::to_string(i + 1);
    const std::string drawn =
        figure(charts, fit_data_chart(part, curves["parts"][i], id.c_str()),
               "<code>" + escape_html(text_at(part, "formula")) + "</code>", "");
    html += left.empty() ? "" : side_by_side(left, drawn);
    left = left.empty() ? drawn : "";
  }
  return html + (left.empty() ? "" : side_by_side(left, ""));
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
  const std::string lead = refused ? "The data do not determine this law; the diagnostics say why."
                                   : "<code>" + escape_html(text_at(fit, "formula")) + "</code>";
  return page_header("fit", title, "<p class=\"lead\">" + lead + "</p>",
                     fmt::format("<span class=\"badge {}\">{}</span>", refused ? "bad" : "good",
                                 refused ? "refused" : "fitted"));
}

}  // namespace

std::string fit_page(const Json& fit, const Json& curves, std::string_view title) {
  const ClimbFiles files{.fit = fit};
  Json charts = Json::array();
  std::string html = fit_header(fit, title);
  const std::string by = text_at(curves, "by");
  std::string caption =
      "Circles are measured rows, lines the law, the band where a new measurement would lie";
  if (by.empty())
    caption += ".";
  else
    caption += fmt::format(
        " on the last line of the legend. Rows of another {} than the lines' have the color of the "
        "nearest line and lie beside it.",
        escape_html(by));
  html +=
      html_section("ladder", "The law",
                   law_section(files) + figure(charts, fit_data_chart(fit, curves), "", caption) +
                       part_figures(fit, curves, charts));
  html += html_section(
      "budgets", "IsoFLOP curves",
      figure(charts, fit_budgets_chart(fit), "",
             "Measured rows of each budget, the curve that its minimum (star) was read from; a "
             "budget without a curve was left out, as the diagnostics say."));
  html += html_section("forms", "Forms", forms_table(fit));
  html += html_section(
      "error", "Against the law",
      side_by_side(figure(charts, fit_residual_chart(fit, curves), "Residuals",
                          "A trend rather than scatter around zero means that the law bends."),
                   figure(charts, fit_isoflop_chart(curves), "At equal FLOPs",
                          "Loss over size with D = C / 6 N; stars mark the optima.")));
  html += html_section("profiles", "Profile likelihood", profile_figures(fit, charts));
  html += html_section("checks", "Diagnostics and checklist", checks_section(files));
  return page_frame(title, html, charts);
}

}  // namespace rung
