#include <fmt/format.h>

#include "config/difference.h"
#include "config/resolve.h"
#include "core/error.h"
#include "core/folder.h"
#include "core/json_field.h"
#include "core/shell.h"
#include "study/climb_stages.h"
#include "study/known_data.h"
#include "study/rate.h"

namespace rung {

void open_folder(Climb& c) {
  const fs::path& folder = c.request.folder;
  if (!c.request.resume && fs::exists(c.file("plan.json")))
    fail("[climb] {} holds a climb already{}. Continue it with --resume, or choose another --out.",
         folder.string(), fs::exists(c.file("prediction.json")) ? " with its prediction" : "");
  c.made_folder = !fs::exists(folder);
  make_folder(folder, "climb");
  c.lock = std::make_unique<FolderLock>(folder);
}

void leave_no_folder(Climb& c) {
  if (!c.lock || fs::exists(c.file("plan.json"))) return;
  std::error_code error;  // what goes wrong here must not hide why the climb ended
  if (c.made_folder) fs::remove(c.file(".lock"), error);
  c.lock.reset();
  if (c.made_folder) fs::remove(c.request.folder, error);
}

namespace {

// A text of few long documents may lose much of itself to what is held out, which is chosen by
// documents.
void say_held_out(const Climb& c, const Json& data) {
  constexpr double much = 0.25;
  if (!data.contains("held_out_tokens")) return;
  const double held = data.at("held_out_tokens").get<double>(),
               share = held / (held + data.at("tokens").get<double>());
  const int64_t documents = data.at("held_out_documents").get<int64_t>();
  if (share > much)
    c.say(fmt::format(
        "data    {} of {} documents, {:.0f} % of the text, are held out. Shorter documents "
        "(docs/data.md) leave more to train on",
        documents, documents + data.at("documents").get<int64_t>(), 100.0 * share));
}

}  // namespace

void open_data(Climb& c) {
  c.source = open_source(c.request.base.data, c.request.cache, 1);
  const int64_t context = c.request.base.model.context;
  c.held_out = c.source->held_out(context, c.request.base.train.eval_tokens);
  if (c.held_out.windows() < 1)
    fail("[climb] The text holds no held-out window of {} tokens. Give more text.", context);
  say_held_out(c, c.source->describe());
  if (c.request.resume) {
    std::string& path = c.request.base.data.path;
    path = known_data_path(c.request.folder, path, *c.source);
  }
}

void open_log(Climb& c, double seconds) {
  c.log = std::make_unique<JsonLog>(c.file("log.jsonl"));
  Json start{{"event", "start"}, {"argv", c.request.command_line}, {"resume", c.request.resume}};
  if (!c.request.alternative.empty()) start["alternative"] = c.request.alternative;
  c.log->write(start);
  c.log->write({{"event", "data"},
                {"data", c.source->describe()},
                {"held_out_sha256", c.held_out.sha256},
                {"held_out_tokens", c.held_out.windows() * c.request.base.model.context}});
  c.log->write({{"event", "stage"}, {"stage", "plan"}, {"seconds", seconds}});
}

namespace {

// What plan.json holds: the plan, and what of the request it does not show.
Json plan_file(const Climb& c) {
  const auto asked = [](double amount) { return amount > 0.0 ? Json(amount) : Json(); };
  Json json = to_json(c.plan);
  json["law"] = c.request.law;  // empty: chosen by rollout
  json["budget"] = {{"seconds", asked(c.request.asked_seconds)},
                    {"flops", asked(c.request.asked_flops)}};
  return json;
}

// In what the climb of a folder differs from one of this configuration and plan, settings first;
// empty where it is the same. config.toml, the target's, is read as people may have written it; its
// seed follows from the plan's, which takes its place.
std::string climb_difference(const Climb& c, const RunConfig& config, const Json& plan) {
  const fs::path settings = c.file("config.toml");
  Json saved = Json::object(), now = to_json(config);
  if (fs::exists(settings)) saved = to_json(resolve({}, read_settings(settings)).front());
  saved.update(read_json(c.file("plan.json")));
  if (!c.request.budget_given) saved.erase("budget");
  now.update(plan);
  return difference_text(saved, now);
}

// Writes plan.json and config.toml; true when they stood there already. Fails when they are another
// climb's: resuming with other settings would mix two climbs.
bool record_plan(Climb& c) {
  const RunConfig& base = c.request.base;
  const Json plan = plan_file(c);
  const RunConfig config = members_of(c.plan.target, base, base.train.lr,
                                      c.plan.options.batch_coefficient, c.plan.options)
                               .front();
  const bool known = fs::exists(c.file("plan.json")), settled = fs::exists(c.file("config.toml"));
  const std::string difference = known ? climb_difference(c, config, plan) : "";
  if (!difference.empty()) {
    const fs::path log = c.file("log.jsonl");
    const std::string command =
        fs::exists(log) ? shell_line(first_command(read_json_lines(log))) : "";
    fail(
        "[climb] {} holds a climb of other settings: {}. Resume with the command that started "
        "it{}, or choose another --out.",
        c.request.folder.string(), difference,
        command.empty() ? "" : fmt::format(" (rung {})", command));
  }
  make_folder(c.file("runs"), "climb");
  if (!known || !settled) write_file(c.file("config.toml"), to_toml(config));
  if (!known) write_json(c.file("plan.json"), plan);
  return known;
}

// The plan that the request and this machine allow. `seconds` have passed already; a FLOP budget
// that was recorded before takes the place of the clock's.
ClimbPlan decide_plan(const ClimbRequest& request, const std::shared_ptr<const TokenSource>& source,
                      const Machine& machine, double seconds, double recorded_flops) {
  ClimbOptions options = request.plan;
  const RunConfig& base = request.base;
  options.train_target = !request.predict_only;
  if (!base.data.repeat) {
    const int64_t sequences = source->sequences(base.model.context);
    options.most_tokens =
        sequences > INT64_MAX / base.model.context ? INT64_MAX : sequences * base.model.context;
  }
  if (recorded_flops > 0.0) options.flops = recorded_flops;
  if (options.flops <= 0.0) {
    const std::vector<Rate> rates = measure_rates(base, source, machine, options, request.company);
    // The rest goes to fits, reports, evaluation and checkpoints, and to what a second's probe does
    // not show: rates sag under load, and a single target fills two cores less well than the
    // probe's two members.
    constexpr double share_for_training = 0.85;
    const double left = request.seconds * share_for_training - seconds;
    if (left <= 0.0)
      fail(
          "[climb] The budget is too small to climb. Received {} s, reading the data took {:.0f} "
          "s. Raise --budget.",
          request.seconds, seconds);
    options.flops = flops_for_seconds(base, source->vocabulary(), options, rates, left);
  }
  return plan_climb(base, source->vocabulary(), options);
}

}  // namespace

void make_plan(Climb& c) {
  const double recorded = fs::exists(c.file("plan.json"))
                              ? read_field(c.file("plan.json"), "flops").get<double>()
                              : 0.0;
  c.plan = decide_plan(c.request, c.source, c.machine, c.seconds(), recorded);
  if (record_plan(c)) return;
  for (const std::string& line : plan_lines(c.plan)) c.say(line);
}

DryClimb plan_only(const ClimbRequest& request) {
  const auto source = open_source(request.base.data, request.cache, 1);
  const Machine machine = make_machine(request.base.device, request.threads);
  DryClimb dry{.plan = decide_plan(request, source, machine, 0.0, 0.0),
               .vocabulary = source->vocabulary()};
  std::vector<const PlannedRun*> runs;
  for (const auto* stage : {&dry.plan.sweeps, &dry.plan.ladder})
    for (const PlannedRun& run : *stage) runs.push_back(&run);
  if (dry.plan.options.train_target) runs.push_back(&dry.plan.target);
  for (const PlannedRun* run : runs)
    dry.groups.push_back(
        {.name = run->name,
         .members = members_of(*run, request.base, request.base.train.lr,
                               dry.plan.options.batch_coefficient, dry.plan.options),
         .index = {}});
  return dry;
}

}  // namespace rung
