// rung scales: how large every weight, activation and gradient is while a model trains, and what
// number formats would lose of it.
#include "study/scales.h"

#include "cli/interrupt.h"
#include "cli/torch/setup.h"
#include "core/error.h"
#include "core/files.h"
#include "core/folder.h"
#include "core/number.h"
#include "core/table.h"
#include "report/scales_page.h"

namespace rung {
namespace {

ScalesPlan read_scales_plan(const Arguments& arguments) {
  ScalesPlan plan{.steps = {},
                  .by_default = !arguments.has("--steps"),
                  .probe_tokens = arguments.integer("--probe")};
  for (const std::string& text : split_commas(arguments.list("--steps"))) {
    const auto number = parse_number(text);
    if (!number || !(*number >= 0.0 && *number < 1e9) || *number != std::floor(*number))
      fail_usage("[scales] --steps takes whole numbers from 0, as 0,1,10,100. Received {}.", text);
    plan.steps.push_back(static_cast<int64_t>(*number));
  }
  if (plan.probe_tokens < 1)
    fail_usage("[scales] --probe is from 1 token. Received {}.", plan.probe_tokens);
  return plan;
}

// The share that is lost as it is, and what the best scale leaves of that.
std::string share_text(double plain, double scaled) {
  const auto percent = [](double share) {
    return share == 0.0   ? std::string("0")
           : share >= 0.1 ? fmt::format("{:.0f}%", 100.0 * share)
                          : fmt::format("{:.2g}%", 100.0 * share);
  };
  return plain == 0.0 ? "-" : percent(plain) + " > " + percent(scaled);
}

TableRow with_formats(TableRow row) {
  for (const NumberFormat& f : number_formats()) row.emplace_back(f.name);
  return row;
}

std::string range_table(const ScalesResult& result) {
  std::vector<TableRow> rows;
  for (const ScaleRange& r : scale_ranges(result)) {
    rows.push_back({kind_name(r.kind), fmt::format("{}", r.step), fmt::format("{:.3g}", r.lo),
                    fmt::format("{:.3g}", r.hi)});
    for (size_t i = 0; i < r.lost.size(); ++i)
      rows.back().push_back(share_text(r.lost[i], r.scaled_lost[i]));
  }
  return text_table(with_formats({"all tensors", "step", "RMS from", "to"}), rows) + "\n";
}

std::string class_table(const ScalesResult& result) {
  TableRow head{"tensor", "of"};
  for (const int64_t step : result.steps) head.push_back(fmt::format("RMS {}", step));
  head.insert(head.end(), {"worst layer", "step"});
  std::vector<TableRow> rows;
  for (const ScaleClass& c : scale_classes(result)) {
    TableRow row{c.name, kind_name(c.kind)};
    for (const double rms : c.rms) row.push_back(fmt::format("{:.3g}", rms));
    row.push_back(c.worst->layer < 0 ? "" : fmt::format("{}", c.worst->layer));
    row.push_back(fmt::format("{}", c.worst->step));
    for (const FormatFit& fit : c.worst->statistics.formats)
      row.push_back(share_text(fit.plain.lost(), fit.scaled.lost()));
    rows.push_back(std::move(row));
  }
  return text_table(with_formats(head), rows) + "\n";
}

constexpr const char* legend =
    "Formats: the largest share of non-zero elements that becomes zero or overflows, as it is > "
    "at the tensor's best power of two.\n";

int dry_run(const Arguments& arguments, RunConfig config, const ScalesPlan& plan,
            const TokenSource& source) {
  const int64_t steps = *std::max_element(plan.steps.begin(), plan.steps.end());
  config.train.tokens = std::max<int64_t>(steps, 1) * config.train.batch_tokens;
  report_dry_run(arguments, dry_rows(arguments, std::vector{config}, source), config);
  return 0;
}

int run_scales(const Arguments& arguments) {
  const RunConfig config = read_one(arguments, "scales", given_rule(arguments));
  const ScalesPlan plan = read_scales_plan(arguments);
  Sources sources;
  const auto source = sources.open(config.data);
  if (arguments.dry_run) return dry_run(arguments, config, plan, *source);
  const fs::path out = arguments.text("--out");
  if (!out.empty()) make_folder(out, "scales");  // before the work whose result goes there
  const ScalesResult result = record_scales(
      config, plan, source, make_machine(config.device, arguments.threads), make_hooks(arguments));
  arguments.out->end_progress();
  if (result.interrupted) return report_interrupted(arguments);
  Json json = to_json(result, config);
  std::string text = range_table(result) + class_table(result) + legend;
  if (!out.empty()) {
    write_json(out / "scales.json", json);
    write_file(out / "scales.csv", scales_csv(result));
    write_file(out / "scales.html", scales_page(json, config.parametrisation + " tensor scales"));
    json["out"] = out.string();
    text += (out / "scales.html").string() + "\n";
  }
  if (result.diverged)
    fail("[scales] The model diverged behind step {}. Received train.lr {:g}.{}",
         result.steps.empty() ? 0 : result.steps.back(), config.train.lr,
         out.empty() ? " Set --out to keep the steps before, or a smaller rate."
                     : fmt::format(" The steps before are in {}.", out.string()));
  arguments.out->result(json, text);
  return 0;
}

}  // namespace

extern const Verb scales_verb;
const Verb scales_verb{
    .name = "scales",
    .group = "tools",
    .summary = "record how large every tensor is in training, and what FP16, BF16 and FP8 lose",
    .example = "rung scales --parametrisation umup --steps 0,1,10,100 --out scales",
    .options = with_config_options(
        {{.name = "--steps",
          .takes = Takes::list,
          .help = "optimizer steps after which to look",
          .default_text = "0,1,10,100"},
         {.name = "--parametrisation", .help = "the rule to train with, over CONFIG's"},
         {.name = "--probe",
          .help = "tokens of the coming batch whose activations are kept",
          .default_text = "8192"},
         {.name = "--out",
          .help = "folder that receives scales.json, scales.csv and scales.html"}}),
    .run = run_scales,
    .trains = true};

}  // namespace rung
