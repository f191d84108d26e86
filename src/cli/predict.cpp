// rung predict: what a fit says about a point beyond its data.
#include "law/predict.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "cli/verb.h"
#include "core/error.h"
#include "core/json.h"
#include "core/number.h"
#include "core/table.h"
#include "law/expression.h"
#include "law/fit_groups.h"
#include "law/fit_json.h"
#include "law/forms.h"
#include "law/predict_table.h"
#include "law/procedure.h"
#include "law/schedule.h"

namespace rung {
namespace {

Point read_point(const std::vector<std::string>& pairs) {
  Point point;
  for (const std::string& pair : pairs) {
    const size_t equals = pair.find('=');
    const auto value =
        equals == std::string::npos ? std::nullopt : parse_number(pair.substr(equals + 1));
    if (!value)
      fail_usage("[predict] Expected NAME=NUMBER. Received {}. Example: N=7e9 D=1.4e12.", pair);
    if (!point.emplace(pair.substr(0, equals), *value).second)
      fail_usage("[predict] {} is given twice. Received {}.", pair.substr(0, equals), pair);
  }
  return point;
}

std::string describe(const Prediction& prediction) {
  if (prediction.target == "L")
    return fmt::format("loss {:.4f}, {:g} % interval {:.4f} to {:.4f}\n", prediction.loss,
                       100 * prediction.level, prediction.lo, prediction.hi);
  return fmt::format("{} {:.5g}, {:g} % interval {:.5g} to {:.5g}\n", prediction.target,
                     prediction.loss, 100 * prediction.level, prediction.lo, prediction.hi);
}

// The further quantities of a procedure that were determined.
Json predict_parts(const Fit& fit, const Point& at, double level, bool force, std::string& text) {
  Json quantities = Json::object();
  for (const Fit& part : fit.parts) {
    if (part.refused()) {
      text += fmt::format("{}: not determined\n", part.law->target);
      continue;
    }
    const Prediction prediction = predict(part, at, level);
    if (const std::string open = undetermined_text(prediction); !force && !open.empty()) {
      text += fmt::format("{}: not determined: {}\n", part.law->target, open);
      continue;
    }
    text += describe(prediction);
    quantities[prediction.target] = prediction_to_json(prediction);
  }
  return quantities;
}

Json misfit_json(const Misfit& m) {
  if (m.rows == 0) return nullptr;
  return {{"rows", m.rows},
          {"inside", m.inside},
          {"bias", m.bias},
          {"r2", json_number(m.r2)},
          {"mae", m.mae},
          {"rmse", m.rmse},
          {"mean_relative", m.mean_relative},
          {"worst_relative", m.worst_relative}};
}

// How far the table goes beyond the fit's data, in each quantity that both know.
std::string reach_text(const Fit& fit, const Table& table,
                       const std::map<std::string, std::string>& columns) {
  std::string text;
  for (const auto& [name, range] : fit.ranges) {
    const Column* column = match_column(table, name, columns);
    if (!column || column->values.empty()) continue;
    const double most = *std::max_element(column->values.begin(), column->values.end());
    if (most > range.max)
      text += fmt::format("{} is up to {:.3g} times the largest in the fit's data\n", name,
                          most / range.max);
  }
  return text;
}

std::string rows_text(const Fit& fit, const Table& table, const TablePrediction& prediction,
                      double level) {
  const Misfit& m = prediction.misfit;
  std::vector<TableRow> lines;
  for (size_t row = 0; row < prediction.rows.size(); ++row) {
    const RowPrediction& p = prediction.rows[row];
    lines.push_back({table.where(row), fmt::format("{:.5g}", p.loss), fmt::format("{:.5g}", p.lo),
                     fmt::format("{:.5g}", p.hi)});
    if (m.rows == 0) continue;
    const bool known = std::isfinite(p.measured);
    lines.back().push_back(known ? fmt::format("{:.5g}", p.measured) : "");
    lines.back().push_back(known && !p.inside() ? "outside" : "");
  }
  TableRow head{"", std::string(fit.law->target), "from", "to"};
  if (m.rows > 0) head.insert(head.end(), {"measured", ""});
  std::string text = text_table(head, lines);
  if (m.rows > 0)
    text += fmt::format(
        "\n{} of {} measured rows lie within their {:g} % intervals\n"
        "mean error {:+.5f}, absolute {:.5f}, rms {:.5f}, worst {:.3g} %, R2 {:.4f}\n",
        m.inside, m.rows, 100 * level, m.bias, m.mae, m.rmse, 100 * m.worst_relative, m.r2);
  return text;
}

// Every row of a table (several: learning curves, a file a run) that --where keeps, and the misfit
// where it has measurements: of rows that were not fitted, a check of the fit.
int predict_rows(const Arguments& arguments, const Forms& forms, double level) {
  const Fit& fit = forms.forms[forms.best].fit;
  const auto columns = parse_column_map(arguments.text("--columns"));
  Table table = read_runs(arguments.list("--table"));
  if (arguments.has("--where"))
    table = part_of(table, filter_rows(table, arguments.text("--where"), columns));
  if (table.rows == 0) fail("[predict] {} holds no row to predict.", table.source);
  std::optional<Table> schedules;
  if (arguments.has("--schedules")) schedules = read_table(arguments.text("--schedules"));
  const TablePrediction prediction =
      predict_table(fit, table, columns, schedules ? &*schedules : nullptr, level);
  if (prediction.undetermined && !arguments.flag("--force"))
    refuse("[predict] {}: {} {}", table.where(prediction.undetermined->first),
           undetermined_text(prediction.undetermined->second), undetermined_advice);
  Json rows = Json::array();
  for (const RowPrediction& p : prediction.rows) {
    rows.push_back(
        {{"loss", json_number(p.loss)}, {"lo", json_number(p.lo)}, {"hi", json_number(p.hi)}});
    if (std::isfinite(p.measured)) {
      rows.back()["measured"] = p.measured;
      rows.back()["inside"] = p.inside();
    }
  }
  std::string text = rows_text(fit, table, prediction, level) + reach_text(fit, table, columns);
  const std::vector<std::string> doubts = unit_doubts(fit);
  for (const std::string& doubt : doubts) text += "warning: " + doubt + "\n";
  if (forms.forms.size() > 1)
    text += fmt::format("by {} alone, the heaviest of {} laws: points are predicted by all\n",
                        fit.law->name, forms.forms.size());
  arguments.out->result({{"rows", rows},
                         {"level", level},
                         {"law", fit.law->name},
                         {"warnings", doubts},
                         {"misfit", misfit_json(prediction.misfit)}},
                        text);
  return 0;
}

int run_predict(const Arguments& arguments) {
  const std::string path = arguments.text("FIT");
  Json stored = read_json(path);
  if (holds_groups(stored))
    stored = find_group(stored, arguments.text("--group"), path);
  else if (arguments.has("--group"))
    fail_usage("[predict] {} holds one fit, no groups. Received --group {}.", path,
               arguments.text("--group"));
  const Forms forms = forms_from_json(stored, path);
  const Fit& fit = forms.forms[forms.best].fit;
  const double level = arguments.has("--level") ? arguments.number("--level") : fit.level;
  if (arguments.has("--where") && !arguments.has("--table"))
    fail_usage("[predict] --where keeps rows of a --table. Received {}.",
               arguments.text("--where"));
  if (arguments.has("--table")) return predict_rows(arguments, forms, level);
  if (!arguments.has("NAME=VALUE"))
    fail_usage("[predict] Where? Give NAME=VALUE, such as N=7e9 D=1.4e12, or --table.");
  const Point point = read_point(arguments.list("NAME=VALUE"));
  const Prediction prediction = predict_forms(forms, point, level);
  const bool force = arguments.flag("--force");
  if (!force) refuse_undetermined(prediction, "predict");
  std::string text = describe(prediction);
  Json json = prediction_to_json(prediction);
  if (fit.procedure && !fit.procedure->composed)
    json["quantities"] = predict_parts(fit, point, level, force, text);
  std::vector<std::string> parts;
  for (const auto& [name, width] : prediction.sources)
    parts.push_back(fmt::format("{} {:.2g}", name, width));
  text += fmt::format("half of the interval by source: {}\n", fmt::join(parts, ", "));
  text += place_text(prediction);
  for (const std::string& warning : prediction.warnings) text += "warning: " + warning + "\n";
  arguments.out->result(json, text);
  return 0;
}

}  // namespace

extern const Verb predict_verb;
const Verb predict_verb{
    .name = "predict",
    .group = "laws",
    .summary = "predict the loss at a point from a fit, with an interval for a new measurement",
    .example = "rung predict fit.json N=7e9 D=1.4e12",
    .options = {{.name = "FIT", .help = "file written by `rung fit --out`", .required = true},
                {.name = "NAME=VALUE",
                 .takes = Takes::list,
                 .help = "N=7e9 D=1.4e12; C follows as 6 N D"},
                {.name = "--table",
                 .takes = Takes::list,
                 .help = "predict every row of it instead; several: learning curves, a file a run"},
                {.name = "--where", .help = "of its rows, as 'C>1e20'"},
                {.name = "--group", .help = "of a file of `fit --by`: which, as model=GPT2"},
                {.name = "--columns", .help = "which of its columns to read, as for fit"},
                {.name = "--schedules", .help = "learning curves: the rates' knots, as for fit"},
                {.name = "--level", .help = "probability of the interval (default: the fit's)"},
                {.name = "--force",
                 .takes = Takes::flag,
                 .help = "also where a coefficient at its bound decides (`bound-decides`)"}},
    .run = run_predict};

}  // namespace rung
