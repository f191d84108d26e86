// rung report: draws (again) the page of a climb folder, a fit, a plan, a coordinate check, tensor
// scales or a comparison, from its files alone.
#include "report/report.h"

#include "cli/verb.h"
#include "core/error.h"
#include "core/files.h"
#include "core/shell.h"
#include "law/fit_curves.h"
#include "law/fit_json.h"
#include "report/compare_page.h"
#include "report/coord_page.h"
#include "report/fit_page.h"
#include "report/plan_page.h"
#include "report/scales_page.h"

namespace rung {
namespace {

// Files that a folder's page shows, and tables: they have no page of their own.
void check_has_page(const fs::path& file) {
  const fs::path folder = file.parent_path();
  const bool climb = fs::exists(folder / "plan.json") && fs::exists(folder / "log.jsonl");
  const std::string shown = shell_quoted(folder.empty() ? "." : folder.string());
  for (const char* name : {"plan.json", "prediction.json", "rule.json", "audit.json", "runs.csv",
                           "log.jsonl", "config.toml", "target.toml"})
    if (climb && file.filename() == name)
      fail_usage("[report] {} is a climb's, whose page shows it. Draw that: rung report {}.",
                 file.string(), shown);
  for (const char* ending : {".csv", ".tsv", ".jsonl"})
    if (file.extension() == ending)
      fail_usage(
          "[report] {} is a table, which has no page. Fit a law to it and draw that: rung fit {} "
          "--law NAME --out fit.json, rung report fit.json.",
          file.string(), shell_quoted(file.string()));
}

// As the verbs that wrote the file named its page; those of a fit and a plan have none of their
// own.
std::string title_of(const Json& json, const fs::path& file) {
  if (is_comparison(json)) return fs::absolute(file).parent_path().filename().string();
  const std::string rule = json.is_object() ? json.value("parametrisation", "") : "";
  if (is_coord(json) && !rule.empty()) return rule + " coordinate check";
  if (is_scales(json) && !rule.empty()) return rule + " tensor scales";
  return file.filename().string();
}

// The page of a fit, a plan or a check stands beside its file: fit.json -> fit.html.
std::filesystem::path write_page(const fs::path& file) {
  const Json json = read_json(file);
  fs::path page = file;
  page.replace_extension(".html");
  const std::string title = title_of(json, file);
  write_file(page, is_plan(json)     ? plan_page(json, title)
                   : is_coord(json)  ? coord_page(json, title)
                   : is_scales(json) ? scales_page(json, title)
                   : is_comparison(json)
                       ? compare_page(json, title)
                       : fit_page(json, fit_curves(fit_from_json(json, file.string())), title));
  return page;
}

// The file to draw of a folder with a fit or a check and nothing of a climb; empty otherwise.
fs::path only_file(const fs::path& folder) {
  if (fs::exists(folder / "plan.json") || fs::exists(folder / "log.jsonl")) return {};
  for (const char* name : {"fit.json", "coord.json", "scales.json", "compare.json"})
    if (fs::exists(folder / name)) return folder / name;
  return {};
}

// The page shows a climb: its plan, law and prediction. Other folders are told what draws them.
void check_holds_climb(const fs::path& folder) {
  const auto holds = [&](const char* name) { return fs::exists(folder / name); };
  if (!fs::exists(folder)) fail("[report] {} does not exist. Check the path.", folder.string());
  if (holds("plan.json") || holds("prediction.json")) return;
  const std::string quoted = shell_quoted(folder.string());
  if (holds("study.json"))
    fail(
        "[report] {} holds a sweep or a ladder, which has no page. Fit a law to its runs.csv and "
        "draw that: rung fit {}/runs.csv --law NAME --out fit.json, rung report fit.json.",
        folder.string(), quoted);
  if (holds("log.jsonl") || holds("runs.json"))
    fail("[report] {} holds training, which has no page. Its curves: tensorboard --logdir {}.",
         folder.string(), quoted);
  fail("[report] {} holds nothing to draw. Give the folder of a climb or a check, or a fit's file.",
       folder.string());
}

int run_report(const Arguments& arguments) {
  const fs::path path = arguments.text("PATH");
  fs::path page;
  if (fs::is_regular_file(path)) {
    check_has_page(path);
    page = write_page(path);
  } else if (const fs::path file = only_file(path); !file.empty()) {
    page = write_page(file);
  } else {
    check_holds_climb(path);
    write_report(path);
    page = path / "report.html";
  }
  arguments.out->result({{"out", page.string()}, {"plots", report_has_plots()}}, page.string());
  return 0;
}

}  // namespace

extern const Verb report_verb;
const Verb report_verb{
    .name = "report",
    .group = "climb",
    .summary = "draw the page of a climb, a comparison, a fit, a plan or a check",
    .example = "rung report climb",
    .options =
        {{.name = "PATH",
          .help = "folder of a climb, a comparison or a check, or the file of a fit, plan or check",
          .required = true}},
    .run = run_report};

}  // namespace rung
