// rung fit: a law fitted to a table, with intervals and diagnostics, or refused with reasons (exit
// status 3).
#include "law/fit.h"

#include <algorithm>
#include <cmath>

#include "cli/verb.h"
#include "config/toml_json.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/number.h"
#include "core/table.h"
#include "law/fit_groups.h"
#include "law/fit_json.h"
#include "law/fit_text.h"
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

// The laws of `a,b,LAW.toml`; a comma behind a colon belongs to a law's own arguments.
std::vector<std::string> read_laws(std::string_view text) {
  std::vector<std::string> laws;
  const bool one = text.find(':') != std::string_view::npos;
  for (bool more = true; more;) {
    const size_t comma = one ? text.npos : text.find(',');
    laws.emplace_back(text.substr(0, comma));
    if (laws.back().ends_with(".toml")) laws.back() = read_law(laws.back());
    more = comma != text.npos;
    if (more) text.remove_prefix(comma + 1);
  }
  return laws;
}

FitOptions read_fit_options(const Arguments& arguments) {
  FitOptions options;
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
  options.seed = arguments.seed();
  options.threads = arguments.threads;
  options.interrupted = arguments.interrupted;
  options.progress = [out = arguments.out](const Progress& p) { out->progress(p); };
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
    if (dots == std::string::npos || value.size() == 2)
      fail_usage("[fit] --bound takes NAME=LO..HI, LO.. or ..HI. Received {}.", text);
    const auto side = [&](const std::string& end, double open) {
      return end.empty() ? open : number(end, name);
    };
    options.bounds[name] = {side(value.substr(0, dots), -INFINITY),
                            side(value.substr(dots + 2), INFINITY)};
  }
  return options;
}

int run_forms(const Arguments& arguments, const Table& table, const FitOptions& common,
              const std::vector<std::string>& laws) {
  const Forms forms = fit_forms(table, options_of_laws(common, laws), arguments.text("--order"));
  if (arguments.has("--out")) write_json(arguments.text("--out"), forms_to_json(forms));
  arguments.out->result(forms_to_json(forms, false), fit_text(forms));
  return forms.refused() ? static_cast<int>(Failure::refused) : 0;
}

std::string describe(const GroupFits& fits) {
  TableRow head = fits.columns;
  std::vector<TableRow> rows;
  for (const GroupFit& group : fits.groups) {
    TableRow& row = rows.emplace_back(group.values);
    if (!group.error.empty() || group.fit.refused()) {
      row.push_back(!group.error.empty() ? "failed" : "refused");
      continue;
    }
    if (head.size() == fits.columns.size())
      for (const Estimate& e : group.fit.coefficients) head.push_back(e.name);
    for (const Estimate& e : group.fit.coefficients)
      row.push_back(e.fixed ? fmt::format("{:.5g}", e.value)
                            : fmt::format("{:.5g} [{:.3g}, {:.3g}]", e.value, e.lo, e.hi));
  }
  for (const TableRow& row : rows) head.resize(std::max(head.size(), row.size()));
  std::string text = text_table(head, rows);
  for (const GroupFit& group : fits.groups) {
    const std::string name = fmt::format("{}", fmt::join(group.values, " "));
    if (!group.error.empty()) text += fmt::format("{}: {}\n", name, group.error);
    for (const Diagnostic& d : group.fit.diagnostics)
      if (d.severity != Severity::note)
        text += fmt::format("{}: {} [{}] {}\n", name, severity_name(d.severity), d.code, d.text);
  }
  return text + fmt::format("{} of {} groups fitted\n", fits.fitted(), fits.groups.size());
}

int run_groups(const Arguments& arguments, const Table& table, const FitOptions& options) {
  std::vector<std::string> columns;
  std::string_view rest;
  const std::string given = arguments.text("--by");
  for (rest = given; !rest.empty();) {
    const size_t comma = std::min(rest.find(','), rest.size());
    columns.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  const GroupFits fits = fit_groups(table, columns, options);
  if (arguments.has("--out")) write_json(arguments.text("--out"), groups_to_json(fits));
  arguments.out->result(groups_to_json(fits, false), describe(fits));
  return fits.fitted() > 0 ? 0 : static_cast<int>(Failure::refused);
}

int run_fit(const Arguments& arguments) {
  FitOptions options = read_fit_options(arguments);
  const std::vector<std::string> laws = read_laws(arguments.text("--law"));
  if (laws.size() == 1 && arguments.has("--order"))
    fail_usage("[fit] --order orders the rungs where several laws are weighed. Received one law.");
  if (arguments.has("--out")) check_writable(arguments.text("--out"));
  const Table table = read_runs(arguments.list("TABLE"));
  if (arguments.has("--by")) {
    if (laws.size() > 1)
      fail_usage("[fit] --by fits one law to each group. Received --law {}.",
                 arguments.text("--law"));
    options.law = laws.front();
    return run_groups(arguments, table, options);
  }
  if (laws.size() > 1) return run_forms(arguments, table, options, laws);
  options.law = laws.front();
  const Fit fit = fit_law(table, options);
  if (arguments.has("--out")) write_json(arguments.text("--out"), fit_to_json(fit));
  arguments.out->result(fit_to_json(fit, false), fit_text(fit));
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
                  "chinchilla,kaplan, are weighed by how each predicts the largest rungs",
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
         {.name = "--by",
          .help = "columns whose values group the rows, as task,model: one fit a group, all in one "
                  "file; `predict --group` takes one. Exit status 3 when no group is fitted"},
         {.name = "--weights", .help = "column of row weights"},
         {.name = "--sd",
          .help = "column with the standard deviation of L; weights rows by its inverse square"},
         {.name = "--fix", .takes = Takes::list, .help = "coefficient held at a value, as E=1.8"},
         {.name = "--tie",
          .takes = Takes::list,
          .help = "coefficients of one value, as alpha=beta"},
         {.name = "--bound",
          .takes = Takes::list,
          .help = "range of a coefficient, as alpha=0.1..0.6 or E=1.5.."},
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
    .run = run_fit};

}  // namespace rung
