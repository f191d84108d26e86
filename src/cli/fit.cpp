// rung fit: a law fitted to a table, with intervals and diagnostics, or refused with reasons (exit
// status 3).
#include "law/fit.h"

#include <algorithm>
#include <cmath>

#include "cli/verb.h"
#include "config/number.h"
#include "config/toml_json.h"
#include "core/error.h"
#include "core/json.h"
#include "core/table.h"
#include "law/fit_json.h"
#include "law/forms.h"
#include "law/schedule.h"
#include "law/user_law.h"

namespace rung {
namespace {

// `NAME=VALUE` at the first equals sign.
std::pair<std::string, std::string> split_pair(const std::string& text, std::string_view option) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos || equals + 1 == text.size())
    fail_usage("[fit] {} takes NAME=VALUE. Received {}.", option, text);
  return {text.substr(0, equals), text.substr(equals + 1)};
}

// A law's own file: checked here, where the name of the file is known, then passed on as its text.
std::string read_law(const std::string& path) {
  const Json definition = read_toml(path);
  make_law(definition, path);
  return definition.dump();
}

FitOptions read_options(const Arguments& arguments) {
  FitOptions options;
  options.law = arguments.text("--law");
  if (options.law.ends_with(".toml")) options.law = read_law(options.law);
  options.columns = parse_column_map(arguments.text("--columns"));
  if (arguments.has("--schedules"))
    options.schedules = std::make_shared<const Table>(read_table(arguments.text("--schedules")));
  options.where = arguments.text("--where");
  options.objective = arguments.text("--objective");
  options.delta = arguments.number("--delta");
  options.tau = arguments.number("--tau");
  options.cluster_column = arguments.text("--cluster");
  options.profile = arguments.flag("--profile");
  options.weight_column = arguments.text("--weights");
  options.sd_column = arguments.text("--sd");
  options.level = arguments.number("--level");
  options.seed = static_cast<uint64_t>(arguments.integer("--seed"));
  options.threads = arguments.threads;
  const int64_t bootstrap = arguments.integer("--bootstrap");
  if (bootstrap < 0 || bootstrap > 10'000'000)
    fail_usage("[fit] --bootstrap lies between 0 and 1e7. Received {}.", bootstrap);
  options.bootstrap = static_cast<int>(bootstrap);
  const auto number = [](const std::string& text, const std::string& name) {
    const auto value = parse_number(text);
    if (!value) fail_usage("[fit] {} needs a number. Received {}.", name, text);
    return *value;
  };
  for (const std::string& text : arguments.list("--fix")) {
    const auto [name, value] = split_pair(text, "--fix");
    options.fixed[name] = number(value, name);
  }
  for (const std::string& text : arguments.list("--tie"))
    options.ties.push_back(split_pair(text, "--tie"));
  for (const std::string& text : arguments.list("--setting")) {
    const auto [name, value] = split_pair(text, "--setting");
    options.settings[name] = number(value, name);
  }
  for (const std::string& text : arguments.list("--bound")) {
    const auto [name, value] = split_pair(text, "--bound");
    const size_t dots = value.find("..");
    if (dots == std::string::npos)
      fail_usage("[fit] --bound takes NAME=LO..HI. Received {}.", text);
    options.bounds[name] = {number(value.substr(0, dots), name),
                            number(value.substr(dots + 2), name)};
  }
  return options;
}

std::string describe(const Fit& fit) {
  std::string text = fmt::format("{}: {}\n", fit.law->name, fit.law->formula);
  for (size_t i = 0; i < fit.inputs.size(); ++i)
    if (fit.inputs[i] != fit.law->inputs[i])
      text += fmt::format("with {} = {}\n", fit.law->inputs[i], fit.inputs[i]);
  if (!fit.refused()) {
    std::vector<TableRow> rows;
    for (const Estimate& e : fit.coefficients)
      rows.push_back({e.name, fmt::format("{:.6g}", e.value),
                      e.fixed             ? "fixed"
                      : e.tied_to.empty() ? fmt::format("{:.3g}", e.se)
                                          : "= " + e.tied_to,
                      e.fixed ? "" : fmt::format("{:.6g}", e.lo),
                      e.fixed ? "" : fmt::format("{:.6g}", e.hi)});
    text +=
        "\n" +
        text_table({"", "value", "se", fmt::format("{:g} % from", 100 * fit.level), "to"}, rows);
    const bool logs = fit.objective.log_residual;
    text += fmt::format("\n{} {:.9g} on {} of {} rows, residual {:.3g}{} rms, {:.2f} s\n",
                        fit.objective.name, fit.objective_value, fit.points, fit.rows_read,
                        (logs ? 100 : 1) * fit.residual_rms, logs ? " %" : "", fit.seconds);
  } else {
    text += "\nrefused: the data do not determine this law\n";
  }
  for (const Profile& p : fit.profiles)
    text += fmt::format("profile of {}: {} to {}\n", p.name,
                        std::isnan(p.lo) ? "open" : fmt::format("{:.6g}", p.lo),
                        std::isnan(p.hi) ? "open" : fmt::format("{:.6g}", p.hi));
  for (const Diagnostic& d : fit.diagnostics)
    text += fmt::format("{} [{}] {}\n", severity_name(d.severity), d.code, d.text);
  for (const Fit& part : fit.parts) text += "\n" + describe(part);
  return text;
}

// The laws of `a,b,c`; options that name a coefficient go to the laws that have it.
std::vector<FitOptions> options_of_laws(const FitOptions& common) {
  std::vector<FitOptions> result;
  std::string_view rest = common.law;
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    FitOptions own = common;
    own.law = std::string(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    const auto lacks = [&](const std::string& name) {
      const auto list = find_law(own.law).coefficients;
      return std::none_of(list.begin(), list.end(),
                          [&](const Coefficient& c) { return c.name == name; });
    };
    std::erase_if(own.fixed, [&](const auto& entry) { return lacks(entry.first); });
    std::erase_if(own.bounds, [&](const auto& entry) { return lacks(entry.first); });
    std::erase_if(own.ties,
                  [&](const auto& pair) { return lacks(pair.first) || lacks(pair.second); });
    result.push_back(std::move(own));
  }
  return result;
}

std::string describe(const Forms& forms) {
  std::string text = describe(forms.forms[forms.best].fit) + "\n";
  std::vector<TableRow> rows;
  for (const Form& form : forms.forms)
    rows.push_back(
        {std::string(form.fit.law->name), fmt::format("{:.3f}", form.weight),
         std::isfinite(form.rollout_error) ? fmt::format("{:.3g}", form.rollout_error) : "-",
         form.fit.refused() ? "refused" : form.problem});
  text += text_table({"law", "weight", "rollout error", ""}, rows);
  return text + fmt::format("weighed by predicting the largest rungs in {} from the smaller ones\n",
                            forms.order);
}

int run_forms(const Arguments& arguments, const Table& table, const FitOptions& common) {
  const Forms forms = fit_forms(table, options_of_laws(common), arguments.text("--order"));
  if (arguments.has("--out")) write_json(arguments.text("--out"), forms_to_json(forms));
  arguments.out->result(forms_to_json(forms, false), describe(forms));
  return forms.refused() ? static_cast<int>(Failure::refused) : 0;
}

int run(const Arguments& arguments) {
  const FitOptions options = read_options(arguments);
  const Table table = read_runs(arguments.list("TABLE"));
  if (options.law.find(',') != std::string::npos && options.law.find(':') == std::string::npos)
    return run_forms(arguments, table, options);
  const Fit fit = fit_law(table, options);
  if (arguments.has("--out")) write_json(arguments.text("--out"), fit_to_json(fit));
  arguments.out->result(fit_to_json(fit, false), describe(fit));
  return fit.refused() ? static_cast<int>(Failure::refused) : 0;
}

}  // namespace

extern const Verb fit_verb;
const Verb fit_verb{
    .name = "fit",
    .group = "laws",
    .summary = "fit a scaling law to a table of runs, with intervals, or refuse with reasons",
    .example =
        "rung fit runs.csv --law chinchilla --columns N=params,D=tokens,L=loss --out fit.json",
    .options =
        {{.name = "TABLE",
          .takes = Takes::list,
          .help = "CSV, TSV or JSON lines with one row a run; several: learning curves, a file a "
                  "run",
          .required = true},
         {.name = "--law",
          .help = "law by name (`rung laws` lists them) or a file LAW.toml; several, as "
                  "chinchilla,kaplan, are weighed "
                  "by how each predicts the largest rungs",
          .default_text = "chinchilla"},
         {.name = "--columns",
          .help = "which columns to read, as N=params,D=tokens,L=loss (default: by name); laws of "
                  "another target than the loss L read it by the name that `rung laws` gives"},
         {.name = "--where", .help = "rows to keep, as 'C>1e18 && N<D'"},
         {.name = "--objective",
          .help = "huber-log, huber, mae-asymmetric, quantile, least-squares or raw-least-squares "
                  "(default: the law's own)"},
         {.name = "--delta",
          .help = "Huber's threshold, in the residual's unit",
          .default_text = "1e-3"},
         {.name = "--tau", .help = "quantile that `quantile` fits", .default_text = "0.5"},
         {.name = "--weights", .help = "column of row weights"},
         {.name = "--sd",
          .help = "column with the standard deviation of L; weights rows by its inverse square"},
         {.name = "--fix", .takes = Takes::list, .help = "coefficient held at a value, as E=1.8"},
         {.name = "--tie",
          .takes = Takes::list,
          .help = "coefficients of one value, as alpha=beta"},
         {.name = "--bound",
          .takes = Takes::list,
          .help = "range of a coefficient, as alpha=0.1..0.6"},
         {.name = "--setting",
          .takes = Takes::list,
          .help = "what a procedure leaves open, as overhead=0.2; `rung laws --json` lists them"},
         {.name = "--schedules",
          .help = "learning curves: table run, step, lr, shape of the rates' knots from step 0 on"},
         {.name = "--bootstrap",
          .help = "resamples for the intervals; 0: normal approximation",
          .default_text = "1000"},
         {.name = "--cluster", .help = "column of runs (or other groups) that are resampled whole"},
         {.name = "--profile",
          .takes = Takes::flag,
          .help = "profile likelihood of every coefficient; `rung report` draws it"},
         {.name = "--level", .help = "probability of the intervals", .default_text = "0.9"},
         {.name = "--seed", .help = "seed of the resamples", .default_text = "0"},
         {.name = "--order",
          .help =
              "what orders the rungs where several laws are weighed (default: C, else an input)"},
         {.name = "--out", .help = "file that `rung predict` reads"}},
    .run = run};

}  // namespace rung
