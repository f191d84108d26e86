// rung coord: whether outputs and their changes keep their size over widths and depths, as the
// parametrisation promises; exits 3 where they do not.
#include "study/coord.h"

#include <algorithm>
#include <map>

#include "cli/interrupt.h"
#include "cli/torch/setup.h"
#include "core/error.h"
#include "core/files.h"
#include "core/folder.h"
#include "core/number.h"
#include "core/table.h"
#include "report/coord_page.h"

namespace rung {
namespace {

std::vector<int64_t> read_sizes(const Arguments& arguments, const char* option) {
  std::vector<int64_t> sizes;
  for (const std::string& text : split_commas(arguments.list(option))) {
    const auto number = parse_number(text);
    if (!number || !(*number >= 1.0 && *number < 1e9) || *number != std::floor(*number))
      fail_usage("[coord] {} takes whole numbers from 1, as 32,64,128. Received {}.", option, text);
    sizes.push_back(static_cast<int64_t>(*number));
  }
  return sizes;
}

CoordPlan read_coord_plan(const Arguments& arguments) {
  CoordPlan plan;
  plan.depths = read_sizes(arguments, "--depths");
  // Depths alone are a check over depth at the configuration's width.
  if (arguments.has("--widths") || plan.depths.empty())
    plan.widths = read_sizes(arguments, "--widths");
  plan.horizons = read_sizes(arguments, "--horizons");
  plan.seeds = arguments.integer("--seeds");
  plan.probe_tokens = arguments.integer("--probe");
  plan.tolerance = arguments.number("--tolerance");
  plan.level = arguments.number("--level");
  if (!(plan.level > 0.0 && plan.level < 1.0))
    fail_usage("[coord] --level lies between 0 and 1. Received {}.", plan.level);
  if (!(plan.tolerance >= 0.0))
    fail_usage("[coord] --tolerance is from 0. Received {}.", plan.tolerance);
  if (plan.probe_tokens < 1)
    fail_usage("[coord] --probe is from 1 token. Received {}.", plan.probe_tokens);
  return plan;
}

std::string promise_text(const std::optional<ExponentRange>& promised) {
  if (!promised) return "-";
  return promised->lo == promised->hi ? fmt::format("{:g}", promised->lo)
                                      : fmt::format("{:g}..{:g}", promised->lo, promised->hi);
}

std::string slope_text(const CoordSlope& s) {
  const char* mark = s.verdict == Verdict::fail ? " FAIL" : s.verdict == Verdict::wide ? " ?" : "";
  return fmt::format("{:+.2f} +-{:.2f}{}", s.slope, 0.5 * (s.hi - s.lo), mark);
}

// A row a tensor and quantity, a column a horizon; `promised` at the last one.
std::string axis_table(const CoordResult& result, const std::string& axis) {
  std::map<std::pair<std::string, Quantity>, std::map<int64_t, const CoordSlope*>> rows;
  std::vector<int64_t> horizons;
  for (const CoordSlope& s : result.slopes) {
    if (s.axis != axis) continue;
    rows[{s.tensor, s.quantity}][s.horizon] = &s;
    if (std::find(horizons.begin(), horizons.end(), s.horizon) == horizons.end())
      horizons.push_back(s.horizon);
  }
  if (rows.empty()) return {};
  std::sort(horizons.begin(), horizons.end());
  TableRow head{"over " + axis, "of", "promised"};
  for (const int64_t horizon : horizons) head.push_back(fmt::format("step {}", horizon));
  std::vector<TableRow> cells;
  for (const auto& [key, by_horizon] : rows) {
    TableRow row{key.first, quantity_name(key.second),
                 promise_text(by_horizon.rbegin()->second->promised)};
    for (const int64_t horizon : horizons) {
      const auto at = by_horizon.find(horizon);
      row.push_back(at == by_horizon.end() ? "" : slope_text(*at->second));
    }
    cells.push_back(std::move(row));
  }
  return text_table(head, cells) + "\n";
}

std::string alignment_table(const CoordResult& result) {
  std::vector<TableRow> rows;
  for (const CoordAlignment& a : result.alignment)
    rows.push_back({a.tensor, fmt::format("{}", a.horizon), fmt::format("{:.3f}", a.exponent),
                    fmt::format("{:.3f}", a.lo), fmt::format("{:.3f}", a.hi)});
  return rows.empty()
             ? ""
             : text_table({"log-alignment", "step", "exponent", "from", "to"}, rows) + "\n";
}

std::string verdict_text(const CoordResult& result, const CoordPlan& plan,
                         const RunConfig& config) {
  std::string text;
  for (const std::string& shape : result.diverged)
    text += fmt::format("A member diverged at {}.\n", shape);
  if (!result.promises())
    return text + fmt::format(
                      "{} promises nothing of how sizes go with width or depth{}: reported, not "
                      "judged.\n",
                      config.parametrisation,
                      config.alignment.empty() ? "" : " under this alignment");
  const int64_t failed = result.count(Verdict::fail), wide = result.count(Verdict::wide);
  text += fmt::format(
      "{}: {} of {} exponents lie beyond the promise by more than {:g}, at level {:g}.\n",
      result.pass() ? "Passed" : "FAILED", failed, failed + wide + result.count(Verdict::pass),
      plan.tolerance, plan.level);
  if (wide > 0)
    text += fmt::format(
        "{} intervals (?) are too wide to tell right from wrong: add seeds or sizes.\n", wide);
  return text;
}

// Estimates of the check's populations.
int dry_run(const Arguments& arguments, const RunConfig& config, const CoordPlan& plan,
            const TokenSource& source) {
  std::vector<DryRow> rows;
  const int64_t steps = *std::max_element(plan.horizons.begin(), plan.horizons.end());
  for (std::vector<RunConfig>& members : coord_populations(config, plan)) {
    for (RunConfig& member : members) member.train.tokens = steps * member.train.batch_tokens;
    const std::vector<DryRow> more = dry_rows(arguments, members, source);
    rows.insert(rows.end(), more.begin(), more.end());
  }
  report_dry_run(arguments, rows, config);
  return 0;
}

int run(const Arguments& arguments) {
  const RunConfig config = read_one(arguments, "coord", given_rule(arguments));
  const CoordPlan plan = read_coord_plan(arguments);
  Sources sources;
  const auto source = sources.open(config.data);
  if (arguments.dry_run) return dry_run(arguments, config, plan, *source);
  const fs::path out = arguments.text("--out");
  if (!out.empty()) make_folder(out, "coord");  // before the work whose result goes there
  const CoordResult result = check_coordinates(
      config, plan, source, make_machine(config.device, arguments.threads), make_hooks(arguments));
  arguments.out->end_progress();
  if (result.interrupted) return report_interrupted(arguments);
  Json json = to_json(result, plan);
  json["parametrisation"] = config.parametrisation;
  std::string text = axis_table(result, "width") + axis_table(result, "depth") +
                     alignment_table(result) + verdict_text(result, plan, config);
  if (!out.empty()) {
    write_json(out / "coord.json", json);
    write_file(out / "coord.html", coord_page(json, config.parametrisation + " coordinate check"));
    json["out"] = out.string();
    text += (out / "coord.html").string() + "\n";
  }
  arguments.out->result(json, text);
  return result.pass() ? 0 : 3;
}

}  // namespace

extern const Verb coord_verb;
const Verb coord_verb{
    .name = "coord",
    .group = "tools",
    .summary = "check that sizes keep to what the parametrisation promises over width and depth",
    .example = "rung coord --parametrisation mup --widths 32,64,128,256 --set train.lr=0.01",
    .options = with_config_options(
        {{.name = "--widths",
          .takes = Takes::list,
          .help = "widths, as 32,64,128,256",
          .default_text = "32,64,128,256"},
         {.name = "--depths", .takes = Takes::list, .help = "depths, as 2,4,8"},
         {.name = "--parametrisation", .help = "the rule to check, over CONFIG's"},
         {.name = "--horizons",
          .takes = Takes::list,
          .help = "steps after which to look",
          .default_text = "1,10,50"},
         {.name = "--seeds", .help = "members a shape", .default_text = "4"},
         {.name = "--probe", .help = "held-out tokens to look at", .default_text = "512"},
         {.name = "--tolerance",
          .help = "how far an exponent may lie from the promise",
          .default_text = "0.25"},
         {.name = "--level", .help = "of the intervals", .default_text = "0.9"},
         {.name = "--out", .help = "folder that receives coord.json and coord.html"}}),
    .run = run,
    .trains = true};

}  // namespace rung
