#include "law/fit_curves.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "law/predict.h"
#include "law/uncertainty.h"

namespace rung {
namespace {

constexpr int line_points = 48, band_points = 24;
constexpr size_t most_lines = 5;
constexpr double ahead = 4.0;  // lines go on this far beyond the data

bool positive(const Fit& fit, size_t input) {
  return fit.law->input_rule(input).domain == Domain::positive;
}

// Decades, or 0 for inputs without a logarithm: those are drawn as x only where nothing else
// varies.
double width(const Fit& fit, size_t input) {
  const Range range = fit.ranges.at(fit.inputs[input]);
  return positive(fit, input) ? std::log10(range.max / range.min) : 0.0;
}

std::vector<double> spread(double from, double to, int count, bool logs) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i) {
    const double at = i / (count - 1.0);
    values.push_back(logs ? from * std::pow(to / from, at) : from + at * (to - from));
  }
  return values;
}

std::vector<double> column(const Fit& fit, size_t input) {
  std::vector<double> values;
  for (const FittedRow& row : fit.fitted) values.push_back(row.inputs[input]);
  return values;
}

// A few of the values that the data hold, evenly from the smallest to the largest.
std::vector<double> representatives(const Fit& fit, size_t input) {
  const std::vector<double> all = column(fit, input);
  const std::set<double> distinct(all.begin(), all.end());
  const std::vector<double> sorted(distinct.begin(), distinct.end());
  if (sorted.size() <= most_lines) return sorted;
  std::vector<double> chosen;
  for (size_t i = 0; i < most_lines; ++i)
    chosen.push_back(sorted[i * (sorted.size() - 1) / (most_lines - 1)]);
  return chosen;
}

Json line(const Fit& fit, Point at, size_t x, bool with_band) {
  const std::string& name = fit.inputs[x];
  const Range range = fit.ranges.at(name);
  const bool logs = positive(fit, x);
  const double end = logs ? range.max * ahead : range.max;
  Json points = Json::array(), band = Json::array();
  for (const double value : spread(range.min, end, line_points, logs)) {
    at[name] = value;
    points.push_back({value, json_number(predict_loss(fit, at))});
  }
  if (with_band)
    for (const double value : spread(range.min, end, band_points, logs)) {
      at[name] = value;
      const Prediction p = predict(fit, at, fit.level);
      band.push_back({value, json_number(p.lo), json_number(p.hi)});
    }
  return {{"points", points}, {"band", band}};
}

Json isoflop(const Fit& fit) {
  Json lines = Json::array();
  for (const double c : spread(fit.ranges.at("C").min, fit.ranges.at("C").max, most_lines, true)) {
    const Range n = fit.ranges.at("N");
    Json points = Json::array();
    for (const double size : spread(n.min / 2.0, n.max * 2.0, line_points, true))
      points.push_back(
          {size, json_number(predict_loss(fit, {{"N", size}, {"D", c / (6 * size)}}))});
    lines.push_back({{"C", c}, {"points", points}});
  }
  return lines;
}

// Without its parts.
Json curves_along(const Fit& fit) {
  if (fit.coefficients.empty() || fit.fitted.empty()) return Json::object();
  const size_t k = fit.inputs.size();
  std::vector<size_t> order(k);
  for (size_t i = 0; i < k; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return width(fit, a) > width(fit, b); });
  Point at;
  for (size_t i = 0; i < k; ++i) at[fit.inputs[i]] = quantile(column(fit, i), 0.5);
  const size_t x = order[0];
  Json lines = Json::array();
  if (k == 1) {
    lines.push_back(line(fit, at, x, true));
  } else {
    const std::vector<double> values = representatives(fit, order[1]);
    for (size_t i = 0; i < values.size(); ++i) {
      at[fit.inputs[order[1]]] = values[i];
      lines.push_back(line(fit, at, x, i + 1 == values.size()));
      lines.back()["value"] = values[i];
    }
  }
  Json json = {{"x", fit.inputs[x]},
               {"x_index", x},
               {"log_x", positive(fit, x)},
               {"by", k > 1 ? Json(fit.inputs[order[1]]) : Json()},
               {"by_index", k > 1 ? Json(order[1]) : Json()},
               {"lines", lines}};
  const bool sizes =
      fit.law->target == "L" && k == 2 && fit.inputs[0] == "N" && fit.inputs[1] == "D";
  if (sizes && fit.ranges.contains("C")) json["isoflop"] = isoflop(fit);
  return json;
}

}  // namespace

Json fit_curves(const Fit& fit) {
  if (fit.refused()) return Json::object();
  Json json = curves_along(fit);
  for (const Fit& part : fit.parts) json["parts"].push_back(fit_curves(part));
  return json;
}

}  // namespace rung
