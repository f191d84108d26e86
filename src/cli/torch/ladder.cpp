// rung ladder: one trunk run a shape with cooldown branches, the table that laws are fitted to.
#include "study/ladder.h"

#include <cmath>

#include "cli/torch/setup.h"
#include "core/error.h"
#include "core/files.h"
#include "core/number.h"
#include "core/table.h"

namespace rung {
namespace {

std::vector<double> read_ratios(const Arguments& arguments) {
  std::vector<double> ratios;
  for (const std::string& text : split_commas(arguments.list("--tokens-per-parameter"))) {
    const auto number = parse_number(text);
    if (!number || *number <= 0.0)
      fail_usage("[ladder] --tokens-per-parameter takes positive numbers. Received {}.", text);
    ratios.push_back(*number);
  }
  return ratios;
}

// The trunk once and every cooldown.
Requirements rung_estimate(const RungPlan& rung, int64_t vocabulary, int threads) {
  Requirements e =
      estimate({.name = rung.name, .members = rung.members, .index = {}}, vocabulary, threads);
  const double trunk_flops = e.flops / static_cast<double>(e.steps);
  int64_t steps = rung.finishes.back().trunk();
  for (const Schedule& s : rung.finishes) steps += s.cooldown;
  e.flops = trunk_flops * static_cast<double>(steps);
  return e;
}

int report_ladder(const StudyResult& study, const Arguments& arguments) {
  const fs::path out = out_folder(arguments);
  Json runs = Json::array();
  std::vector<TableRow> rows;
  for (const RunRecord& r : study.records) {
    runs.push_back({{"run", r.run},
                    {"member", r.member},
                    {"status", r.status},
                    {"N", r.N},
                    {"D", r.D},
                    {"C", r.C},
                    {"loss", json_number(r.L)},
                    {"L_se", json_number(r.L_se)},
                    {"seed", r.seed},
                    {"lr", r.lr}});
    rows.push_back({r.run, fmt::format("{}", r.member), short_number(static_cast<double>(r.N)),
                    short_number(static_cast<double>(r.D)), fmt::format("{:.3g}", r.C),
                    std::isfinite(r.L) ? fmt::format("{:.4f}", r.L) : r.status,
                    std::isfinite(r.L_se) ? fmt::format("{:.4f}", r.L_se) : ""});
  }
  const std::string text = text_table({"run", "member", "N", "D", "C", "loss", "se"}, rows) +
                           fmt::format("{} in {}; `rung fit` reads it\n",
                                       short_seconds(study.seconds), (out / "runs.csv").string());
  arguments.out->result({{"runs", runs}, {"seconds", study.seconds}, {"out", out.string()}}, text);
  return 0;
}

int run_ladder(const Arguments& arguments) {
  std::vector<Shape> shapes;
  for (const std::string& text : split_commas(arguments.list("--shapes")))
    shapes.push_back(parse_shape(text));
  std::vector<RunConfig> members = read_members(arguments);
  Sources sources;
  keep_known_data(arguments, sources, members);
  const auto source = sources.open(members.front().data);
  const std::vector<RungPlan> plan = plan_ladder(members, shapes, read_ratios(arguments), *source);
  if (arguments.dry_run) {
    std::vector<DryRow> rows;
    for (const RungPlan& rung : plan)
      rows.push_back({rung.name, rung_estimate(rung, source->vocabulary(), arguments.threads)});
    report_dry_run(arguments, rows, members.front());
    return 0;
  }
  const StudyContext context = make_context(arguments, sources, members.front());
  const StudyResult study = run_ladder(plan, context);
  arguments.out->end_progress();
  if (study.interrupted) return report_interrupted(arguments, context.folder);
  return report_ladder(study, arguments);
}

}  // namespace

extern const Verb ladder_verb;
const Verb ladder_verb{
    .name = "ladder",
    .group = "runs",
    .summary = "train shapes to several lengths: a trunk each, with cooldown branches",
    .example = "rung ladder --shapes 32x4,48x4,64x4 --tokens-per-parameter 10,20 --out ladder",
    .options = with_config_options(
        {{.name = "--shapes",
          .takes = Takes::list,
          .help = "WIDTHxDEPTH, separated by commas",
          .required = true},
         {.name = "--tokens-per-parameter",
          .takes = Takes::list,
          .help = "lengths, separated by commas",
          .required = true},
         {.name = "--out", .help = "folder of the ladder"},
         {.name = "--resume", .takes = Takes::flag, .help = "continue what the folder holds"}}),
    .run = run_ladder,
    .trains = true};

}  // namespace rung
