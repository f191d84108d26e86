#include "report/plan_page.h"

#include <cmath>

#include "core/progress.h"
#include "report/chart_parts.h"
#include "report/climb_files.h"
#include "report/html.h"
#include "report/page_frame.h"

namespace rung {
namespace {

std::string show_bytes(double value) {
  return std::isfinite(value) ? short_amount(value, "B") : "–";
}

// Days where hours would be many.
std::string show_time(double seconds) {
  constexpr double day = 86400.0;
  return seconds >= 2.0 * day ? show_number(seconds / day, 3) + " d" : show_seconds(seconds);
}

std::string show_range(const Json& range, std::string (*show)(double)) {
  return show(number_at(range, "lo")) + " to " + show(number_at(range, "hi"));
}

// Loss over N at the budget: near-optimal set, band, line, shapes and the best.
Json basin_chart(const Json& plan) {
  if (!plan.contains("basin")) return {};
  auto chart = new_chart("basin", "Loss over model size at the budget, with the near-optimal set",
                         axis("N", true, "count"), axis("loss, nats per token", true, "loss"));
  Json line = Json::array(), band = Json::array();
  double lowest = INFINITY, highest = -INFINITY;
  for (const Json& point : plan["basin"]) {
    line.push_back({point["N"], point["loss"]});
    band.push_back({point["N"], point["lo"], point["hi"]});
    lowest = std::fmin(lowest, number_at(point, "lo"));
    highest = std::fmax(highest, number_at(point, "hi"));
  }
  const double from = number_at(plan, "flat/N/lo"), to = number_at(plan, "flat/N/hi");
  Json set = Json::array();
  if (std::isfinite(from) && std::isfinite(lowest))
    set = {{from, lowest, highest}, {to, lowest, highest}};
  push_series(chart, {{"label", fmt::format("within {:g} %", 100 * number_at(plan, "flat/within"))},
                      {"kind", "band"},
                      {"color", "good"},
                      {"data", set}});
  push_series(chart, {{"label", fmt::format("{:.0f} % band", 100 * number_at(plan, "level"))},
                      {"kind", "band"},
                      {"color", "law"},
                      {"data", band}});
  push_series(chart, {{"label", "law"}, {"kind", "line"}, {"color", "law"}, {"data", line}});
  Json points = Json::array(), notes = Json::array();
  for (const Json& shape : plan["shapes"]) {
    points.push_back({shape["N"], shape["loss"]});
    notes.push_back(
        fmt::format("{:.0f} x {:.0f}", number_at(shape, "width"), number_at(shape, "depth")));
  }
  push_series(chart, {{"label", "real shapes"},
                      {"kind", "points"},
                      {"color", "rung"},
                      {"data", points},
                      {"notes", notes}});
  Json best = Json::array({Json::array({plan["N"], plan["loss"], plan["lo"], plan["hi"]})});
  push_series(chart, {{"label", plan.contains("given") ? "given size" : "best"},
                      {"kind", "interval"},
                      {"color", "prediction"},
                      {"data", best}});
  if (plan.contains("given"))
    push_series(chart,
                {{"label", "best"},
                 {"kind", "points"},
                 {"shape", "star"},
                 {"color", "target"},
                 {"data", Json::array({{plan["given"]["best_N"], plan["given"]["best_loss"]}})}});
  return or_null(std::move(chart));
}

std::string plan_stat(std::string_view kind, std::string_view label, const std::string& value,
                      const std::string& small) {
  return fmt::format(
      "<div class=\"stat {}\"><span>{}</span><strong>{}</strong><small>{}</small></div>", kind,
      label, value, small);
}

std::string plan_header(const Json& plan, std::string_view title) {
  const double level = 100 * number_at(plan, "level");
  std::string html =
      fmt::format("<p class=\"lead\">{}</p><div class=\"stats\">",
                  plan.contains("given")
                      ? fmt::format("The given size reaches {} above the best under this budget.",
                                    show_percent(number_at(plan, "given/excess")))
                      : fmt::format("Every size from {} reaches the best loss within {:g} %.",
                                    show_range(plan["flat"]["N"], show_count),
                                    100 * number_at(plan, "flat/within")));
  html += plan_stat("", "parameters N", show_count(number_at(plan, "N")),
                    show_range(plan["intervals"]["N"], show_count));
  html += plan_stat("", "tokens D", show_count(number_at(plan, "D")),
                    show_range(plan["intervals"]["D"], show_count));
  html += plan_stat("prediction", fmt::format("loss, {:g} %", level),
                    show_loss(number_at(plan, "loss")),
                    show_loss(number_at(plan, "lo")) + " to " + show_loss(number_at(plan, "hi")));
  const double c = number_at(plan, "C");
  const bool counted = c > 1.001 * 6.0 * number_at(plan, "N") * number_at(plan, "D");
  html +=
      plan_stat("", "training FLOPs", show_flops(c),
                std::isfinite(number_at(plan, "seconds")) ? show_time(number_at(plan, "seconds"))
                : counted                                 ? "attention or routers included"
                                                          : "6 N D");
  return page_header("plan", title, html + "</div>");
}

std::string shapes_table(const Json& plan) {
  if (plan["shapes"].empty()) return {};
  TableRow head{"width × depth", "heads", "N", "D", "loss", "over the best", "memory"};
  const bool timed = std::isfinite(number_at(plan, "seconds"));
  if (timed) head.push_back("time");
  std::vector<TableRow> rows;
  for (const Json& s : plan["shapes"]) {
    rows.push_back(
        {fmt::format("{:.0f} × {:.0f}", number_at(s, "width"), number_at(s, "depth")),
         fmt::format("{:.0f} × {:.0f}", number_at(s, "heads"), number_at(s, "head_size")),
         show_count(number_at(s, "N")), show_count(number_at(s, "D")),
         show_loss(number_at(s, "loss")), show_percent(number_at(s, "excess")),
         show_bytes(number_at(s, "memory"))});
    if (timed) rows.back().push_back(show_time(number_at(s, "seconds")));
  }
  std::vector<bool> right(head.size(), true);
  right.front() = false;
  std::string html = html_table(head, rows, right);
  if (plan.contains("aspect"))
    html +=
        fmt::format("<p>Preferred width over depth {}{}, from {}.</p>\n",
                    show_number(number_at(plan, "aspect/value"), 3),
                    number_at(plan, "aspect/lo") < number_at(plan, "aspect/hi")
                        ? fmt::format(" ({} to {})", show_number(number_at(plan, "aspect/lo"), 3),
                                      show_number(number_at(plan, "aspect/hi"), 3))
                        : "",
                    escape_html(text_at(plan, "aspect/source")));
  return html;
}

std::string alternatives_table(const Json& plan) {
  if (!plan.contains("alternatives") || plan["alternatives"].size() < 2) return {};
  const Json& choice = plan["choice"];
  TableRow head;
  std::vector<const char*> axes;
  for (const char* axis : {"bits", "experts", "granularity"})
    if (std::isfinite(number_at(choice, axis))) axes.push_back(axis);
  for (const char* axis : axes) head.push_back(axis);
  const bool accuracy = std::isfinite(number_at(choice, "accuracy"));
  for (const char* name : {"N", "stored", "D", "loss"}) head.push_back(name);
  if (accuracy) head.push_back("accuracy");
  head.push_back("best in");
  std::vector<TableRow> rows;
  for (const Json& a : plan["alternatives"]) {
    TableRow row;
    for (const char* axis : axes) row.push_back(show_number(number_at(a, axis), 4));
    row.push_back(truth_at(a, "possible", true) ? show_count(number_at(a, "N")) : "too large");
    row.push_back(show_count(number_at(a, "N_total")));
    row.push_back(show_count(number_at(a, "D")));
    row.push_back(show_loss(number_at(a, "loss")));
    if (accuracy) row.push_back(show_number(number_at(a, "accuracy"), 4));
    const double support = number_at(a, "support");
    row.push_back(std::isfinite(support) ? fmt::format("{:.0f} %", 100 * support) : "–");
    rows.push_back(std::move(row));
  }
  return "<p>Chosen by " + escape_html(text_at(choice, "source")) +
         "; the last column says in how many resampled fits a row is the best.</p>\n" +
         html_table(head, rows, std::vector<bool>(head.size(), true));
}

std::string advice_table(const Json& plan) {
  std::vector<TableRow> rows;
  const auto add = [&](const Json& a) {
    rows.push_back({escape_html(text_at(a, "name")), show_number(number_at(a, "value")),
                    show_number(number_at(a, "lo")), show_number(number_at(a, "hi")),
                    escape_html(text_at(a, "source")), escape_html(text_at(a, "note"))});
  };
  if (plan.contains("vocabulary")) add(plan["vocabulary"]);
  for (const char* list : {"batch", "lr"})
    for (const Json& a : plan[list]) add(a);
  return rows.empty() ? ""
                      : html_table({"", "value", "from", "to", "by", ""}, rows,
                                   {false, true, true, true, false, false});
}

std::string design_section(const Json& plan) {
  if (!plan.contains("design")) return {};
  const Json& design = plan["design"];
  std::vector<TableRow> rows;
  for (const Json& run : design["runs"])
    rows.push_back({std::to_string(rows.size() + 1), show_count(number_at(run, "N")),
                    show_count(number_at(run, "D")), show_flops(number_at(run, "flops")),
                    fmt::format("{:.1f} %", 100 * number_at(run, "variance_removed")),
                    show_number(number_at(run, "deviation_left"), 3)});
  return html_table({"", "N", "D", "FLOPs", "variance removed", "deviation left"}, rows,
                    {true, true, true, true, true, true}) +
         fmt::format("<p>The law at the target: {} before, {} after, for {} FLOPs in all.</p>\n",
                     show_range(design["before"], show_loss),
                     show_range(design["after"], show_loss),
                     show_flops(number_at(design, "flops")));
}

std::string remarks(const Json& plan) {
  std::string html = "<ul class=\"notes\">\n";
  const auto add = [&](std::string_view badge, std::string_view kind, const std::string& text) {
    html += fmt::format("<li><span class=\"badge {}\">{}</span> {}</li>\n", kind, badge,
                        escape_html(text));
  };
  add("source", "note", text_at(plan, "source"));
  for (const Json& limit : plan["limits"]) {
    const bool budget = limit == "flops" || limit == "time";  // what every plan ends with
    add(budget ? "budget" : "limit", budget ? "note" : "warning",
        "limited by " + limit.get<std::string>());
  }
  if (plan.contains("extrapolation"))
    for (const auto& [name, times] : plan["extrapolation"].items())
      if (times.is_number() && times.get<double>() > 1.0)
        add("beyond", "warning",
            fmt::format("{} is {:.3g} times the largest in the data", name, times.get<double>()));
  for (const Json& unknown : plan["unknown"])
    add("unknown", "note", unknown.get<std::string>() + ": no fit given covers it");
  for (const Json& remark : plan["remarks"]) add("remark", "warning", remark.get<std::string>());
  return html + "</ul>\n";
}

}  // namespace

bool is_plan(const Json& json) {
  return json.is_object() && text_at(json, "status") == "planned";
}

std::string plan_page(const Json& plan, std::string_view title) {
  Json charts = Json::array();
  std::string html = plan_header(plan, title);
  html += html_section(
      "basin", "The basin",
      figure(charts, basin_chart(plan), "",
             "Loss along the budget, the tokens following from the size. The shaded stretch holds "
             "every size within the margin of the best; the band is where a new measurement would "
             "lie."));
  html += html_section("shapes", "Real shapes", shapes_table(plan));
  html += html_section("choice", "Bits and experts", alternatives_table(plan));
  html += html_section("advice", "Vocabulary, batch, learning rate", advice_table(plan));
  html += html_section("design", "Runs to train next", design_section(plan));
  html += html_section("checks", "What to know", remarks(plan));
  return page_frame(title, html, charts);
}

}  // namespace rung
