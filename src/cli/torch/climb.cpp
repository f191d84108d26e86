// rung climb: the whole product in one verb.
#include "study/climb.h"

#include <algorithm>

#include "cli/cache.h"
#include "cli/interrupt.h"
#include "cli/torch/budget.h"
#include "cli/torch/compare.h"
#include "cli/torch/setup.h"
#include "cli/verb.h"
#include "config/resolve.h"
#include "core/error.h"
#include "study/compare.h"
#include "study/forecast.h"
#include "study/gpu_shapes.h"

namespace rung {
namespace {

// What a climb starts from where neither file nor --set says otherwise. A short context keeps the
// onset of in-context copying, which bends curves of loss against size, small at the sizes of a
// ladder, and offset keys bring it to its first rungs.
RunConfig climb_defaults(const std::string& device) {
  RunConfig config;
  if (!device.empty()) config.device = device;
  if (device == "cuda") config.precision = "bf16";
  config.model.context = 64;
  config.model.key_offset = true;
  // Divides a state space's units at every width of a ladder.
  config.model.ssm_head_dim = device == "cuda" ? 32 : 8;
  config.train.lr = 0.7;              // the middle of the sweep
  config.train.eval_tokens = 262144;  // so that what is held out adds little to the noise of seeds
  return config;
}

bool sets(const std::vector<Setting>& settings, std::string_view key) {
  return std::any_of(settings.begin(), settings.end(),
                     [&](const Setting& s) { return s.key == key; });
}

// [model] width and [train] tokens, where given, are the target's: the ladder then keeps its number
// of heads and its tokens per parameter.
void give_target(ClimbRequest& request, const std::vector<Setting>& settings) {
  const RunConfig& base = request.base;
  ClimbOptions& plan = request.plan;
  if (sets(settings, "model.head_dim") && !sets(settings, "model.width"))
    fail_usage("[climb] model.head_dim is the target's and needs model.width beside it.");
  if (sets(settings, "train.tokens") && !sets(settings, "model.width"))
    fail_usage("[climb] train.tokens is the target's and needs model.width beside it.");
  if (!sets(settings, "model.width")) return;
  plan.target_width = base.model.width;
  if (base.model.head_dim > 0) {
    // The steps of a head's size stay what they are for this device.
    const int64_t heads = base.model.width / base.model.head_dim;
    plan.width_step = heads * (plan.width_step / plan.heads);
    plan.smallest_width = heads * (plan.smallest_width / plan.heads);
    plan.heads = heads;
    plan.largest_head = 0;  // as given
  }
  if (base.model.width % plan.width_step != 0)
    fail_usage(
        "[climb] The target's width must be a multiple of {} (its {} heads keep their number along "
        "the ladder). Received {}.",
        plan.width_step, plan.heads, base.model.width);
  plan.target_tokens = sets(settings, "train.tokens") ? base.train.tokens : 0;
}

// Beyond these no ladder is found at any width.
double within(const Arguments& arguments, const char* name, double least, double most) {
  const double value = arguments.number(name);
  if (value < least || value > most)
    fail_usage("[climb] {} lies from {:g} to {:g}. Received {}.", name, least, most,
               arguments.text(name));
  return value;
}

// `more` settings come last: an alternative's.
ClimbRequest request_from(const Arguments& arguments, const std::vector<Setting>& more = {}) {
  const std::vector<Setting> settings = given_settings(arguments, more);
  const std::vector<RunConfig> configs = resolve(climb_defaults(arguments.device), settings);
  if (configs.size() != 1)
    fail_usage(
        "[climb] A climb takes one configuration, not lists. Received {} members. Use `rung "
        "sweep`.",
        configs.size());
  ClimbRequest request{.base = configs.front()};
  if (arguments.has("--data")) request.base.data.path = arguments.text("--data");
  if (arguments.has("--seed")) request.base.seed = arguments.seed();
  if (arguments.flag("--repeat")) request.base.data.repeat = true;
  make_paths_absolute(request.base.data);
  if (!arguments.device.empty()) request.base.device = arguments.device;
  validate(request.base);
  request.plan.seed = request.base.seed;
  if (request.base.device == "cuda") suit_gpu(request.plan, request.base.model);
  request.plan.ahead = within(arguments, "--ahead", 1.0, 1e6);
  request.plan.tokens_per_parameter = within(arguments, "--tokens-per-parameter", 1e-3, 1e5);
  request.plan.measures = measures_without(arguments.list("--without"));
  give_target(request, settings);
  if (request.plan.target_tokens > 0 && arguments.has("--tokens-per-parameter"))
    fail_usage(
        "[climb] train.tokens is the target's and decides its tokens per parameter. Received "
        "--tokens-per-parameter {} beside it. Leave out one of the two.",
        arguments.text("--tokens-per-parameter"));
  const Budget budget = parse_budget(arguments.text("--budget"));
  request.seconds = request.asked_seconds = budget.seconds;
  request.plan.flops = request.asked_flops = budget.flops;
  request.budget_given = arguments.has("--budget");
  request.folder = arguments.text("--out");
  request.cache = data_cache_folder();
  request.law = arguments.text("--law");
  if (!request.law.empty()) check_path_law(request.law);  // before hours of training, not behind
  request.resume = arguments.flag("--resume");
  request.keep_checkpoints = arguments.flag("--keep-checkpoints");
  request.predict_only = arguments.flag("--predict-only");
  request.threads = arguments.threads;
  request.command_line = arguments.command_line;
  for (const Setting& setting : more)
    request.alternative.push_back(setting.key + "=" + setting.values.front());
  return request;
}

std::string outcome_text(const Json& json) {
  if (!json.contains("measured"))
    return fmt::format(
        "Predicted {:.4f}. Train {}/target.toml, then: rung verify {} --measured LOSS",
        json["predicted"]["loss"].get<double>(), json["out"].get<std::string>(),
        json["out"].get<std::string>());
  return fmt::format(
      "predicted {:.4f} ({:.4f} .. {:.4f}), measured {:.4f}: error {:+.2f} %, {} the interval; "
      "{:.1f}x beyond the largest rung\nreport: {}/report.html",
      json["predicted"]["loss"].get<double>(), json["predicted"]["lo"].get<double>(),
      json["predicted"]["hi"].get<double>(), json["measured"]["loss"].get<double>(),
      100.0 * json["relative_error"].get<double>(),
      json["inside"].get<bool>() ? "inside" : "outside", json["extrapolation_flops"].get<double>(),
      json["out"].get<std::string>());
}

ClimbHooks hooks_of(const Arguments& arguments) {
  return {.interrupted = arguments.interrupted,
          .progress = [&](const Progress& p) { arguments.out->progress(p); },
          .say = [&](const std::string& line) { arguments.out->note(line); }};
}

struct DryClimbs {
  std::vector<DryRow> rows;
  DryNotes notes;
};

// An alternative's name is empty where there is one climb.
void add_climb(DryClimbs& climbs, const std::string& name, const ClimbRequest& request,
               const Arguments& arguments) {
  const DryClimb dry = plan_only(request);
  const std::string before = name.empty() ? "" : name + "/";
  for (const Group& group : dry.groups)
    climbs.rows.push_back(
        {before + group.name, estimate(group, dry.vocabulary, arguments.threads)});
  for (const std::string& line : plan_lines(dry.plan))
    climbs.notes.text += (name.empty() ? "" : name + ": ") + line + "\n";
  Json& json = climbs.notes.json;
  (name.empty() ? json["plan"] : json["plans"][name]) = to_json(dry.plan);
}

int finish(const Arguments& arguments, const ClimbOutcome& outcome,
           std::string (*text)(const Json&)) {
  arguments.out->end_progress();
  if (outcome.interrupted) {
    const std::string command = resume_command(arguments);
    arguments.out->note(
        fmt::format("saved in {}; this goes on:\n  {}", arguments.text("--out"), command));
    Json json = outcome.json;
    json["resume"] = command;
    arguments.out->result(json, "");
    return interrupt_status();
  }
  arguments.out->result(outcome.json, text(outcome.json));
  return 0;
}

int run_comparison(const Arguments& arguments) {
  std::vector<NamedClimb> alternatives;
  for (const NamedSettings& named : parse_alternatives(arguments.list("--compare")))
    alternatives.push_back({named.name, request_from(arguments, named.settings)});
  const bool together = arguments.flag("--together");
  if (arguments.dry_run) {
    const double share = 1.0 / static_cast<double>(alternatives.size());
    DryClimbs climbs;
    for (NamedClimb& alternative : alternatives) {
      if (!together) alternative.request.seconds *= share;
      alternative.request.plan.flops *= share;
      add_climb(climbs, alternative.name, alternative.request, arguments);
    }
    report_dry_run(arguments, climbs.rows, alternatives.front().request.base, climbs.notes);
    return 0;
  }
  note_resume(arguments);
  return finish(arguments,
                compare_climbs(arguments.text("--out"), std::move(alternatives), together,
                               hooks_of(arguments)),
                comparison_text);
}

int run_climb(const Arguments& arguments) {
  if (!arguments.list("--compare").empty()) return run_comparison(arguments);
  if (arguments.flag("--together"))
    fail_usage("[climb] --together trains the alternatives of --compare. Give --compare.");
  const ClimbRequest request = request_from(arguments);
  if (arguments.dry_run) {
    DryClimbs climbs;
    add_climb(climbs, "", request, arguments);
    report_dry_run(arguments, climbs.rows, request.base, climbs.notes);
    return 0;
  }
  note_resume(arguments);
  return finish(arguments, run_climb(request, hooks_of(arguments)), outcome_text);
}

int run_verify(const Arguments& arguments) {
  if (!(arguments.number("--measured") > 0.0))
    fail_usage("[verify] --measured must be positive. Received {}.", arguments.text("--measured"));
  const double error = arguments.has("--se") ? arguments.number("--se") : 0.0;
  if (error < 0.0)
    fail_usage("[verify] --se cannot be negative. Received {}.", arguments.text("--se"));
  const Json json = verify_climb(arguments.text("DIR"), arguments.number("--measured"), error);
  std::string text = fmt::format(
      "predicted {:.4f} ({:.4f} .. {:.4f}), measured {:.4f}: error {:+.2f} %, {} the "
      "interval",
      json["predicted"]["loss"].get<double>(), json["predicted"]["lo"].get<double>(),
      json["predicted"]["hi"].get<double>(), json["measured"]["loss"].get<double>(),
      100.0 * json["relative_error"].get<double>(),
      json["inside"].get<bool>() ? "inside" : "outside");
  if (json.contains("replaces"))
    text += fmt::format("\nThis replaces the measurement {:.4f}; log.jsonl and the report keep it.",
                        json["replaces"].back().at("loss").get<double>());
  for (const Json& warning : json.value("warnings", Json::array()))
    text += "\nwarning: " + warning.get<std::string>();
  arguments.out->result(json, text);
  return 0;
}

}  // namespace

extern const Verb climb_verb;
const Verb climb_verb{
    .name = "climb",
    .group = "climb",
    .summary = "tune, train a ladder, predict a larger model, train it, show the error",
    .example = "rung climb --data book.txt --budget 4min --out climb",
    .options = {{"CONFIG", Takes::value,
                 "configuration in TOML; its model.width and train.tokens are the target's"},
                {"--set", Takes::list, "key=value settings (docs/config.md)"},
                {"--data", Takes::value,
                 "text file, folder or .jsonl, compressed or not; default or synthetic"},
                {"--budget", Takes::value,
                 "wall time (90s, 4min, 2d) or compute (1e15flop) of the whole climb", "4min"},
                {"--law", Takes::value, "law along the path; empty: chosen by rollout"},
                {"--seed", Takes::value, "initialisation and data order", "1"},
                {"--ahead", Takes::value, "least FLOPs of the target over the largest rung's", "4"},
                {"--tokens-per-parameter", Takes::value, "tokens per parameter of every rung",
                 "20"},
                {"--without", Takes::list,
                 "measures left out: lr-rule batch-rule regime offset prior rollout goodness noise "
                 "seeds"},
                {"--compare", Takes::list,
                 "parts, as attention,mamba2, or key=value: a climb each, and who is ahead"},
                {"--together", Takes::flag,
                 "train alternatives at the same time, each with all of a time budget"},
                {"--repeat", Takes::flag, "let tokens be seen more than once"},
                {"--out", Takes::value, "folder of the climb", "climb"},
                {"--resume", Takes::flag, "continue the climb in --out"},
                {"--keep-checkpoints", Takes::flag,
                 "keep those of the sweeps too, not of rungs and target alone"},
                {"--predict-only", Takes::flag, "stop after the prediction and write target.toml"}},
    .run = run_climb,
    .trains = true};

extern const Verb verify_verb;
const Verb verify_verb{.name = "verify",
                       .group = "climb",
                       .summary = "compare a target trained elsewhere with a climb's prediction",
                       .example = "rung verify climb --measured 1.234 --se 0.002",
                       .options = {{.name = "DIR", .help = "folder of the climb", .required = true},
                                   {.name = "--measured",
                                    .help = "the target's held-out loss, nats per token",
                                    .required = true},
                                   {"--se", Takes::value, "its standard error"}},
                       .run = run_verify};

}  // namespace rung
