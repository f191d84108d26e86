// rung predict: what a fit says about a point beyond its data.
#include "law/predict.h"

#include <optional>

#include "cli/verb.h"
#include "config/number.h"
#include "core/error.h"
#include "core/json.h"
#include "core/table.h"
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

// Every row of a table (several: learning curves, a file a run), and the misfit where it has
// measurements.
int predict_rows(const Arguments& arguments, const Fit& fit, double level) {
  const Table table = read_runs(arguments.list("--table"));
  if (table.rows == 0) fail("[predict] {} holds no row to predict.", table.source);
  std::optional<Table> schedules;
  if (arguments.has("--schedules")) schedules = read_table(arguments.text("--schedules"));
  const TablePrediction prediction =
      predict_table(fit, table, parse_column_map(arguments.text("--columns")),
                    schedules ? &*schedules : nullptr, level);
  if (prediction.undetermined && !arguments.flag("--force"))
    refuse("[predict] {}: {} {}", table.where(prediction.undetermined->first),
           undetermined_text(prediction.undetermined->second), undetermined_advice);
  Json rows = Json::array(), misfit = nullptr;
  std::vector<TableRow> lines;
  for (size_t row = 0; row < prediction.rows.size(); ++row) {
    const RowPrediction& p = prediction.rows[row];
    rows.push_back(
        {{"loss", json_number(p.loss)}, {"lo", json_number(p.lo)}, {"hi", json_number(p.hi)}});
    lines.push_back({table.where(row), fmt::format("{:.5g}", p.loss), fmt::format("{:.5g}", p.lo),
                     fmt::format("{:.5g}", p.hi)});
  }
  std::string text = text_table({"", std::string(fit.law->target), "from", "to"}, lines);
  if (const Misfit& m = prediction.misfit; m.rows > 0) {
    misfit = {{"r2", json_number(m.r2)},
              {"mae", m.mae},
              {"rmse", m.rmse},
              {"mean_relative", m.mean_relative},
              {"worst_relative", m.worst_relative}};
    text += fmt::format(
        "\n{} rows measured: R2 {:.4f}, mean error {:.5f}, rms {:.5f}, worst {:.3g} %\n", m.rows,
        m.r2, m.mae, m.rmse, 100 * m.worst_relative);
  }
  arguments.out->result({{"rows", rows}, {"level", level}, {"misfit", misfit}}, text);
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
  if (arguments.has("--table")) return predict_rows(arguments, fit, level);
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
                {.name = "--group", .help = "of a file of `fit --by`: which, as model=GPT2"},
                {.name = "--columns", .help = "which of its columns to read, as for fit"},
                {.name = "--schedules", .help = "learning curves: the rates' knots, as for fit"},
                {.name = "--level", .help = "probability of the interval (default: the fit's)"},
                {.name = "--force",
                 .takes = Takes::flag,
                 .help = "also where a coefficient at its bound decides (`bound-decides`)"}},
    .run = run_predict};

}  // namespace rung
