// What `rung scales` writes: scales.json, which its page is drawn from, and scales.csv.
#include <algorithm>
#include <cmath>
#include <map>

#include "core/table.h"
#include "study/probe.h"
#include "study/scales.h"

namespace rung {

const char* kind_name(ScaleKind kind) {
  switch (kind) {
    case ScaleKind::activation:
      return "activation";
    case ScaleKind::gradient:
      return "gradient";
    case ScaleKind::weight:
      return "weight";
    case ScaleKind::weight_gradient:
      return "weight gradient";
  }
  return "";
}

namespace {

// Worse is larger: what is lost over all formats, then the distance from scale 1.
std::pair<double, double> badness(const TensorStatistics& s) {
  double lost = 0.0;
  for (const FormatFit& fit : s.formats) lost += fit.plain.lost();
  return {lost, s.rms > 0.0 ? std::abs(std::log2(s.rms)) : 0.0};
}

Json formats_json() {
  Json list = Json::array();
  for (const NumberFormat& f : number_formats())
    list.push_back({{"name", f.name},
                    {"largest", f.largest()},
                    {"smallest_normal", f.smallest_normal()},
                    {"smallest_subnormal", f.smallest_subnormal()}});
  return list;
}

Json fits_json(const TensorStatistics& s) {
  Json fits = Json::object();
  for (size_t i = 0; i < s.formats.size(); ++i) {
    const FormatFit& fit = s.formats[i];
    fits[std::string(number_formats()[i].name)] = {
        {"underflow", fit.plain.underflow},         {"subnormal", fit.plain.subnormal},
        {"overflow", fit.plain.overflow},           {"scale_log2", fit.exponent},
        {"scaled_underflow", fit.scaled.underflow}, {"scaled_subnormal", fit.scaled.subnormal}};
  }
  return fits;
}

Json row_json(const ScaleRow& row) {
  const TensorStatistics& s = row.statistics;
  return {{"step", row.step},
          {"tensor", row.tensor},
          {"class", kind_of(row.tensor)},
          {"layer", row.layer},
          {"kind", kind_name(row.kind)},
          {"count", s.count},
          {"zeros", s.zeros},
          {"not_finite", s.not_finite},
          {"rms", s.rms},
          {"mean", s.mean},
          {"std", s.deviation},
          {"abs_min", s.abs_min},
          {"abs_max", s.abs_max},
          {"low", s.low},
          {"median", s.median},
          {"high", s.high},
          {"formats", fits_json(s)}};
}

std::string cell(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_number_float() ? fmt::format("{:.6g}", value.get<double>()) : value.dump();
}

}  // namespace

std::vector<ScaleClass> scale_classes(const ScalesResult& result) {
  std::vector<ScaleClass> classes;
  std::map<std::pair<std::string, ScaleKind>, size_t> place;
  std::vector<std::map<int64_t, std::pair<double, double>>> squares;  // sum and count by step
  for (const ScaleKind kind : scale_kinds)
    for (const ScaleRow& row : result.rows) {
      if (row.kind != kind) continue;
      const std::string name = kind_of(row.tensor);
      const auto [at, fresh] = place.emplace(std::pair(name, kind), classes.size());
      if (fresh) {
        classes.push_back({.name = name, .kind = kind, .rms = {}, .worst = &row});
        squares.emplace_back();
      }
      ScaleClass& own = classes[at->second];
      auto& [sum, count] = squares[at->second][row.step];
      sum += row.statistics.rms * row.statistics.rms;
      count += 1.0;
      if (badness(row.statistics) > badness(own.worst->statistics)) own.worst = &row;
    }
  for (size_t i = 0; i < classes.size(); ++i)
    for (const auto& [step, total] : squares[i])
      classes[i].rms.push_back(std::sqrt(total.first / total.second));
  return classes;
}

std::vector<ScaleRange> scale_ranges(const ScalesResult& result) {
  std::vector<ScaleRange> ranges;
  for (const ScaleKind kind : scale_kinds)
    for (const int64_t step : result.steps) {
      ScaleRange range{.kind = kind, .step = step, .lo = INFINITY};
      range.lost.resize(number_formats().size());
      range.scaled_lost.resize(number_formats().size());
      for (const ScaleRow& row : result.rows) {
        const TensorStatistics& s = row.statistics;
        if (row.kind != kind || row.step != step || !(s.rms > 0.0)) continue;
        range.lo = std::min(range.lo, s.rms);
        range.hi = std::max(range.hi, s.rms);
        for (size_t i = 0; i < s.formats.size(); ++i) {
          range.lost[i] = std::max(range.lost[i], s.formats[i].plain.lost());
          range.scaled_lost[i] = std::max(range.scaled_lost[i], s.formats[i].scaled.lost());
        }
      }
      if (range.hi > 0.0) ranges.push_back(std::move(range));
    }
  return ranges;
}

Json to_json(const ScalesResult& result, const RunConfig& config) {
  Json ranges = Json::array();
  for (const ScaleRange& r : scale_ranges(result)) {
    Json lost = Json::object(), scaled = Json::object();
    for (size_t i = 0; i < r.lost.size(); ++i) {
      const std::string format(number_formats()[i].name);
      lost[format] = r.lost[i];
      scaled[format] = r.scaled_lost[i];
    }
    ranges.push_back({{"kind", kind_name(r.kind)},
                      {"step", r.step},
                      {"rms_lo", r.lo},
                      {"rms_hi", r.hi},
                      {"lost", lost},
                      {"scaled_lost", scaled}});
  }
  Json rows = Json::array(), classes = Json::array();
  for (const ScaleRow& row : result.rows) rows.push_back(row_json(row));
  for (const ScaleClass& c : scale_classes(result))
    classes.push_back({{"class", c.name},
                       {"kind", kind_name(c.kind)},
                       {"rms", c.rms},
                       {"worst", {{"tensor", c.worst->tensor}, {"step", c.worst->step}}}});
  return {{"kind", "scales"},
          {"status", result.diverged ? "diverged" : "done"},
          {"parametrisation", config.parametrisation},
          {"width", config.model.width},
          {"depth", config.model.depth},
          {"batch_tokens", config.train.batch_tokens},
          {"steps", result.steps},
          {"losses", result.losses},
          {"quantiles", {0.001, 0.5, 0.999}},
          {"formats", formats_json()},
          {"ranges", ranges},
          {"classes", classes},
          {"tensors", rows}};
}

std::string scales_csv(const ScalesResult& result) {
  std::string text;
  for (const ScaleRow& row : result.rows) {
    TableRow names, cells;
    const Json json = row_json(row);
    for (const auto& [key, value] : json.items()) {
      if (key != "formats") {
        names.push_back(key);
        cells.push_back(cell(value));
        continue;
      }
      for (const auto& [format, fit] : value.items())
        for (const auto& [share, number] : fit.items()) {
          names.push_back(format + "_" + share);
          cells.push_back(cell(number));
        }
    }
    if (text.empty()) text = csv_line(names);
    text += csv_line(cells);
  }
  return text;
}

}  // namespace rung
