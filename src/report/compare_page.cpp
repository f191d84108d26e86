#include "report/compare_page.h"

#include <cmath>

#include "report/chart_parts.h"
#include "report/climb_files.h"
#include "report/html.h"
#include "report/page_frame.h"

namespace rung {
namespace {

// A line with its band for each alternative; over FLOPs also the runs that it was fitted to.
Json curves_chart(const Json& comparison, const char* name, Json x, bool with_runs) {
  auto chart = new_chart(name, "Loss of each alternative with a 90 % band", std::move(x),
                         axis("loss, nats per token", true, "loss"));
  const Json& all = comparison["alternatives"];
  for (size_t i = 0; i < all.size(); ++i) {
    Json line = Json::array(), band = Json::array(), runs = Json::array();
    for (const Json& row : all[i][std::string("curve_") + name]) {
      line.push_back({row[0], row[1]});
      band.push_back({row[0], row[2], row[3]});
    }
    for (const Json& run : all[i]["runs"]) runs.push_back({run["C"], run["L"]});
    const auto push = [&](const std::string& label, const char* kind, const Json& data) {
      push_series(chart, {{"label", label},
                          {"kind", kind},
                          {"color", "scale"},
                          {"shade", shade_of(i, all.size())},
                          {"data", data}});
    };
    const std::string label = text_at(all[i], "name");
    push(label + ", 90 %", "band", band);
    push(label, "line", line);
    if (with_runs) push(label + ", runs", "points", runs);
  }
  return or_null(std::move(chart));
}

// Losses where all alternatives have been, lowest first: one table over FLOPs and one over time.
std::string ranking(const Json& comparison, const char* axis, const std::string& at,
                    const char* what) {
  std::vector<TableRow> rows;
  for (const Json& s : comparison["ranking"][axis]["standings"])
    rows.push_back(
        {escape_html(text_at(s, "name")), show_loss(number_at(s, "loss")),
         fmt::format("{} .. {}", show_loss(number_at(s, "lo")), show_loss(number_at(s, "hi"))),
         show_loss(number_at(s, "measured"))});
  return fmt::format(
      "<p>At {}, the most {} that all of them were given, by their laws; beside them what a target "
      "measured that was given just this:</p>\n{}",
      at, what,
      html_table({"alternative", "loss", "90 %", "measured"}, rows, {false, true, true, true}));
}

std::string warnings(const Json& comparison) {
  std::string html;
  for (const Json& warning : comparison.value("warnings", Json::array()))
    html += fmt::format("<li><span class=\"badge warning\">warning</span> {}.</li>\n",
                        escape_html(warning.get<std::string>()));
  return html.empty() ? html : "<ul class=\"notes\">\n" + html + "</ul>\n";
}

std::string rankings(const Json& comparison) {
  if (!comparison.contains("ranking")) return "";
  const Json& all = comparison["ranking"];
  return ranking(comparison, "flops", show_flops(number_at(all, "flops/at")) + " FLOP", "compute") +
         ranking(comparison, "seconds", fmt::format("{:.3g} s", number_at(all, "seconds/at")),
                 "time");
}

std::string verdicts(const Json& comparison) {
  std::string html = "<ul class=\"notes\">\n";
  for (const Json& pair : comparison["pairs"])
    html += fmt::format(
        "<li><strong>{} and {}</strong><br>At equal FLOPs: {}.<br>At equal time: {}.<br>One "
        "irreducible loss for both: p = {:.2f}.</li>\n",
        escape_html(text_at(pair, "first")), escape_html(text_at(pair, "second")),
        escape_html(text_at(pair, "flops/verdict")), escape_html(text_at(pair, "seconds/verdict")),
        number_at(pair, "shared_E_probability"));
  return html + "</ul>\n";
}

std::string show_range(const Json& json, const std::string& key) {
  return fmt::format("{} .. {}", show_loss(number_at(json, key + "/lo")),
                     show_loss(number_at(json, key + "/hi")));
}

std::string checks(const Json& comparison) {
  std::vector<TableRow> rows;
  for (const Json& a : comparison["alternatives"]) {
    const std::string name = escape_html(text_at(a, "name"));
    const bool measured = a.contains("measured");
    rows.push_back({fmt::format("<a href=\"{0}/report.html\">{0}</a>", name),
                    show_count(number_at(a, "target/N")), show_flops(number_at(a, "target/C")),
                    fmt::format("{:.1f}x", number_at(a, "extrapolation_flops")),
                    fmt::format("{} ({})", show_loss(number_at(a, "predicted/loss")),
                                show_range(a, "predicted")),
                    measured ? show_loss(number_at(a, "measured/loss")) : "–",
                    measured ? show_percent(number_at(a, "relative_error")) : "–",
                    measured ? (truth_at(a, "inside", false) ? "yes" : "no") : "–",
                    show_range(a, "law_at_target"), show_flops(number_at(a, "flops_per_second"))});
  }
  return html_table({"alternative", "target N", "FLOPs", "ahead", "predicted, 90 %", "measured",
                     "error", "inside", "law after, 90 %", "FLOP/s"},
                    rows, {false, true, true, true, true, true, true, false, true, true});
}

std::string lead(const Json& comparison) {
  std::vector<std::string> names;
  for (const Json& a : comparison["alternatives"])
    names.push_back("<b>" + escape_html(text_at(a, "name")) + "</b>");
  return fmt::format("<p class=\"lead\">A climb each, on the same data: {}.</p>\n",
                     fmt::join(names, ", "));
}

}  // namespace

bool is_comparison(const Json& json) {
  return json.is_object() && text_at(json, "kind") == "comparison";
}

std::string compare_page(const Json& comparison, std::string_view title) {
  Json charts = Json::array();
  std::string html = page_header("comparison", title, lead(comparison));
  html += html_section("ranking", "Who is ahead", rankings(comparison) + warnings(comparison));
  html += html_section(
      "curves", "Loss over what a run costs",
      side_by_side(
          figure(charts,
                 curves_chart(comparison, "flops", axis("training FLOPs", true, "power"), true),
                 "At equal FLOPs",
                 "Each law is fitted to all runs of its climb, the target included. Bands hold "
                 "what coefficients and regimes leave open, by how much the law misses the runs, "
                 "and beyond the largest what rollout and the climb's own prediction missed; a "
                 "seed's noise is not in them."),
          figure(charts,
                 curves_chart(comparison, "seconds",
                              axis("seconds of one training run", true, "power"), false),
                 "At equal time",
                 "Seconds of one run on this machine, timed alone where the climbs ran together, "
                 "else a population's shared by its members; beyond the largest run its rate "
                 "holds.")));
  html += html_section("targets", "Each climb's own check", checks(comparison));
  html += html_section("verdicts", "Two by two", verdicts(comparison));
  return page_frame(title, html, charts);
}

}  // namespace rung
