#include "report/coord_page.h"

#include <cmath>
#include <map>
#include <set>

#include "report/chart_parts.h"
#include "report/climb_files.h"
#include "report/html.h"
#include "report/page_frame.h"

namespace rung {
namespace {

struct Drawn {
  const char *name, *what;
};
constexpr std::array drawn = {
    Drawn{"activation", "RMS of outputs"},
    Drawn{"update", "RMS of the outputs' change since step 0"},
    Drawn{"change", "A fan_in RMS(W − W0): a matrix's own change at full alignment"},
    Drawn{"step", "RMS of what the tensor's own change adds to its output"}};

double last_horizon(const Json& coord) {
  double last = 0.0;
  for (const Json& s : coord["samples"]) last = std::fmax(last, number_at(s, "horizon"));
  return last;
}

std::set<std::string> tensors_of(const Json& list, const char* quantity) {
  std::set<std::string> names;
  for (const Json& entry : list)
    if (text_at(entry, "quantity", quantity) == quantity) names.insert(text_at(entry, "tensor"));
  return names;
}

// Geometric means over seeds and the other axis, at the last horizon: a line a tensor.
Json sizes_chart(const Json& coord, const std::string& axis_name, const Drawn& quantity) {
  const std::string id = axis_name + "-" + quantity.name;
  auto chart = new_chart(id.c_str(), quantity.what, axis(axis_name.c_str(), true, "pow2"),
                         axis("RMS", true, "number"));
  const double last = last_horizon(coord);
  std::map<std::string, std::map<double, std::pair<double, int>>> sums;
  for (const Json& s : coord["samples"]) {
    const double value = number_at(s, quantity.name);
    if (number_at(s, "horizon") != last || !(value > 0.0)) continue;
    auto& [sum, count] = sums[text_at(s, "tensor")][number_at(s, axis_name)];
    sum += std::log(value);
    ++count;
  }
  size_t i = 0;
  for (const auto& [tensor, cells] : sums) {
    Json data = Json::array();
    for (const auto& [size, cell] : cells)
      data.push_back({size, std::exp(cell.first / cell.second)});
    push_series(chart, {{"label", tensor},
                        {"kind", "line"},
                        {"color", "scale"},
                        {"shade", shade_of(i++, sums.size())},
                        {"marks", true},
                        {"data", data}});
  }
  return or_null(std::move(chart));
}

// Entries {tensor, horizon, `value`, lo, hi} by horizon, an interval a tensor.
void push_intervals(Json& chart, const Json& list, const char* quantity, const std::string& axis,
                    const char* value) {
  const std::set<std::string> names = tensors_of(list, quantity);
  size_t i = 0;
  for (const std::string& tensor : names) {
    Json data = Json::array();
    for (const Json& s : list)
      if (text_at(s, "tensor") == tensor && text_at(s, "quantity", quantity) == quantity &&
          text_at(s, "axis", axis) == axis && number_at(s, "horizon") > 0.0)
        data.push_back({number_at(s, "horizon"), json_number(number_at(s, value)),
                        json_number(number_at(s, "lo")), json_number(number_at(s, "hi"))});
    push_series(chart, {{"label", tensor},
                        {"kind", "interval"},
                        {"color", "scale"},
                        {"shade", shade_of(i++, names.size())},
                        {"data", data}});
  }
}

Json exponents_chart(const Json& coord, const std::string& axis_name, const Drawn& quantity) {
  const std::string id = axis_name + "-" + quantity.name + "-exponent";
  auto chart =
      new_chart(id.c_str(), "Exponents with intervals by horizon", axis("steps", true, "count"),
                axis(("exponent of the " + axis_name).c_str(), false, "number"));
  chart["y"]["zero"] = true;
  push_intervals(chart, coord["slopes"], quantity.name, axis_name, "slope");
  return or_null(std::move(chart));
}

Json alignment_chart(const Json& coord) {
  auto chart = new_chart("alignment", "Log-alignment exponent of each tensor at the largest shape",
                         axis("steps", true, "count"), axis("log-alignment", false, "number"));
  push_intervals(chart, coord["alignment"], "", "", "exponent");
  return or_null(std::move(chart));
}

std::string coord_header(const Json& coord, std::string_view title) {
  const std::string rule = escape_html(text_at(coord, "parametrisation"));
  const std::string status = text_at(coord, "status");
  const bool broken = status == "refused";
  const std::string badge = fmt::format("<span class=\"badge {}\">{}</span>",
                                        broken               ? "bad"
                                        : status == "passed" ? "good"
                                                             : "note",
                                        broken ? "failed" : escape_html(status));
  std::string html = fmt::format(
      "<p class=\"lead\">{}: {:.0f} of {:.0f} exponents lie beyond what the rule promises by more "
      "than {:g}, at level {:g}.</p>\n",
      rule, number_at(coord, "failed"), number_at(coord, "judged"), number_at(coord, "tolerance"),
      number_at(coord, "level"));
  if (status == "reported")
    html += "<p>This rule promises nothing of how sizes go: exponents are reported alone.</p>\n";
  if (coord["reasons"].empty()) return page_header("coordinate check", title, html, badge);
  html += "<ul class=\"notes\">\n";
  for (const Json& reason : coord["reasons"])
    html += "<li>" + escape_html(reason.get<std::string>()) + "</li>\n";
  return page_header("coordinate check", title, html + "</ul>\n", badge);
}

std::string show_promise(const Json& promised) {
  if (promised.is_null()) return "–";
  const double lo = number_at(promised, "lo"), hi = number_at(promised, "hi");
  return lo == hi ? fmt::format("{:g}", lo) : fmt::format("{:g} to {:g}", lo, hi);
}

std::string slopes_table(const Json& coord) {
  std::vector<TableRow> rows;
  for (const Json& s : coord["slopes"])
    rows.push_back({escape_html(text_at(s, "tensor")), escape_html(text_at(s, "quantity")),
                    escape_html(text_at(s, "axis")), fmt::format("{:.0f}", number_at(s, "horizon")),
                    fmt::format("{:+.3f}", number_at(s, "slope")),
                    fmt::format("{:+.3f}", number_at(s, "lo")),
                    fmt::format("{:+.3f}", number_at(s, "hi")), show_promise(s["promised"]),
                    escape_html(text_at(s, "verdict"))});
  return html_table(
      {"tensor", "of", "over", "step", "exponent", "from", "to", "promised", "verdict"}, rows,
      {false, false, false, true, true, true, true, true, false});
}

}  // namespace

bool is_coord(const Json& json) {
  return json.is_object() && json.contains("slopes") && json.contains("samples") &&
         json.contains("promises");
}

std::string coord_page(const Json& coord, std::string_view title) {
  Json charts = Json::array();
  std::string html = coord_header(coord, title);
  std::set<std::string> axes;
  for (const Json& s : coord["slopes"]) axes.insert(text_at(s, "axis"));
  for (const std::string& axis_name : axes) {
    std::string figures;
    for (const Drawn& quantity : drawn)
      figures += side_by_side(
          figure(charts, sizes_chart(coord, axis_name, quantity), quantity.what,
                 fmt::format("At step {:.0f}; geometric means over seeds.", last_horizon(coord))),
          figure(charts, exponents_chart(coord, axis_name, quantity), "Its exponent by horizon",
                 "Slopes of the logarithms, with intervals."));
    html += html_section("over-" + axis_name, "Over " + axis_name, figures);
  }
  html += html_section(
      "alignment", "Alignment",
      figure(charts, alignment_chart(coord), "",
             "ln of |ΔW x| / (|ΔW| |x|) over ln fan_in, RMS values: 1 is what full alignment, 1/2 "
             "what no alignment assumes."));
  html += html_section("slopes", "Every exponent", slopes_table(coord));
  return page_frame(title, html, charts);
}

}  // namespace rung
