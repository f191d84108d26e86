#include "study/climb.h"

#include <chrono>
#include <cmath>
#include <map>

#include "config/resolve.h"
#include "core/error.h"
#include "core/events.h"
#include "core/files.h"
#include "core/hash.h"
#include "report/report.h"
#include "study/audit.h"
#include "study/forecast.h"
#include "study/lr_rule.h"
#include "study/rate.h"
#include "study/runs_csv.h"

namespace rung {
namespace {

using Clock = std::chrono::steady_clock;

struct Interrupted {};  // unwinds to run_climb once everything is saved

// The state of one call: what every stage reads and writes.
struct Climb {
  const ClimbRequest& request;
  const ClimbHooks& hooks;
  Clock::time_point start = Clock::now();
  std::shared_ptr<const TokenSource> source;
  HeldOut held_out;
  Machine machine;
  ClimbPlan plan;
  std::vector<RunRecord> records;
  std::unique_ptr<FolderLock> lock;
  std::unique_ptr<JsonLog> log;
  Clock::time_point last_report = Clock::now();

  double seconds() const { return std::chrono::duration<double>(Clock::now() - start).count(); }
  fs::path file(const char* name) const { return request.folder / name; }
  void say(const std::string& line) const {
    if (hooks.say) hooks.say(line);
  }
};

void refresh_report(Climb& c, bool now) {
  // Rewritten while the climb runs, but never often enough to cost anything.
  if (!now && std::chrono::duration<double>(Clock::now() - c.last_report).count() < 15.0) return;
  c.last_report = Clock::now();
  write_report(c.request.folder);
}

void enter_stage(Climb& c, const std::string& stage) {
  c.log->write({{"event", "stage"}, {"stage", stage}, {"seconds", c.seconds()}});
  refresh_report(c, true);
}

void open_folder(Climb& c) {
  const fs::path& folder = c.request.folder;
  if (!c.request.resume && fs::exists(c.file("plan.json")))
    fail("[climb] {} holds a climb already{}. Continue it with --resume, or choose another --out.",
         folder.string(), fs::exists(c.file("prediction.json")) ? " with its prediction" : "");
  std::error_code error;
  fs::create_directories(folder / "runs", error);
  if (error) fail("[climb] Cannot create {}: {}.", folder.string(), error.message());
  c.lock = std::make_unique<FolderLock>(folder);
  c.log = std::make_unique<JsonLog>(c.file("log.jsonl"));
  c.log->write(
      {{"event", "start"}, {"argv", c.request.command_line}, {"resume", c.request.resume}});
}

void open_data(Climb& c) {
  c.source = open_source(c.request.base.data, c.request.cache, 1);
  const int64_t context = c.request.base.model.context;
  c.held_out = c.source->held_out(context, c.request.base.train.eval_tokens);
  if (c.held_out.windows() < 1)
    fail("[climb] The text holds no held-out window of {} tokens. Give more text.", context);
  c.log->write({{"event", "data"},
                {"data", c.source->describe()},
                {"held_out_sha256", c.held_out.sha256},
                {"held_out_tokens", c.held_out.windows() * context}});
}

// Writes plan.json and config.toml; true when they stood there already. Fails when they are another
// climb's: resuming with other settings would mix two climbs.
bool record_plan(Climb& c) {
  const RunConfig& base = c.request.base;
  const Json plan = to_json(c.plan);
  const std::string config = to_toml(members_of(c.plan.target, base, base.train.lr,
                                                c.plan.options.batch_coefficient, c.plan.options)
                                         .front());
  const bool known = fs::exists(c.file("plan.json"));
  if (known && (read_json(c.file("plan.json")) != plan ||
                (fs::exists(c.file("config.toml")) && read_file(c.file("config.toml")) != config)))
    fail(
        "[climb] {} holds a climb of other settings. Resume with the command that started it, or "
        "choose another --out.",
        c.request.folder.string());
  if (!known || !fs::exists(c.file("config.toml"))) write_file(c.file("config.toml"), config);
  if (!known) write_json(c.file("plan.json"), plan);
  return known;
}

// The plan is made once and recorded; a resumed climb reads its FLOP budget back and so repeats it
// exactly.
void make_plan(Climb& c) {
  PlanOptions options = c.request.plan;
  const RunConfig& base = c.request.base;
  if (!base.data.repeat) {
    const int64_t sequences = c.source->sequences(base.model.context);
    options.most_tokens =
        sequences > INT64_MAX / base.model.context ? INT64_MAX : sequences * base.model.context;
  }
  if (fs::exists(c.file("plan.json"))) {
    options.flops = read_json(c.file("plan.json")).at("flops").get<double>();
  } else if (options.flops <= 0.0) {
    const std::vector<Rate> rates = measure_rates(base, c.source, c.machine, options);
    // The rest goes to fits, reports, evaluation and checkpoints, and to what a second's probe does
    // not show: rates sag under load, and a single target fills two cores less well than the
    // probe's two members.
    constexpr double share_for_training = 0.85;
    const double left = c.request.seconds * share_for_training - c.seconds();
    if (left <= 0.0)
      fail(
          "[climb] The budget is too small to climb. Received {} s, reading the data took {:.0f} "
          "s. Raise --budget.",
          c.request.seconds, c.seconds());
    options.flops = flops_for_seconds(base, c.source->vocabulary(), options, rates, left);
  }
  c.plan = plan_climb(base, c.source->vocabulary(), options);
  if (record_plan(c)) return;
  const PathPoint& t = c.plan.target.point;
  c.say(fmt::format(
      "plan    target width {} (N {}, D {}, {:.2g} FLOP), {} rungs, {:.1f}x beyond the largest",
      t.width, short_number(static_cast<double>(t.N)), short_number(static_cast<double>(t.tokens)),
      t.C, c.plan.ladder.size(), c.plan.ahead()));
  if (c.plan.limited_by_text)
    c.say(fmt::format(
        "plan    the text holds {} training tokens and limits the target; for this budget it is {} "
        "short. Give more text, or --repeat",
        short_number(static_cast<double>(options.most_tokens)),
        short_number(static_cast<double>(c.plan.wanted_tokens - options.most_tokens))));
}

void write_table(Climb& c) {
  fill_seed_sd(c.records);
  write_runs(c.file("runs.csv"), c.records);
}

// Trains one planned population (or reads it back) and appends its members to runs.csv.
std::vector<RunRecord> train_planned(Climb& c, const PlannedRun& planned, double lr,
                                     double batch_coefficient) {
  std::vector<RunConfig> members =
      members_of(planned, c.request.base, lr, batch_coefficient, c.plan.options);
  const bool target = planned.kind == "target";
  const fs::path folder =
      target ? c.request.folder / "target" : c.request.folder / "runs" / planned.name;
  if (target)
    for (RunConfig& config : members)
      config.train.checkpoint_every =
          std::max<int64_t>(1, config.train.tokens / config.train.batch_tokens / 8);
  RunHooks hooks{.interrupted = c.hooks.interrupted, .progress = [&](const Progress& p) {
                   if (c.hooks.progress) c.hooks.progress(p);
                   refresh_report(c, false);
                 }};
  const RunResult result = train_run({.members = members,
                                      .folder = folder,
                                      .label = planned.name,
                                      .resume = c.request.resume && fs::exists(folder)},
                                     c.source, c.held_out, c.machine, hooks);
  if (result.interrupted) throw Interrupted{};
  std::vector<RunRecord> records;
  for (size_t m = 0; m < members.size(); ++m) {
    const int64_t steps = members[m].train.tokens / members[m].train.batch_tokens;
    RunRecord record = make_record(result.finishes.back()[m],
                                   make_schedule(members[m].train, steps), *c.source, c.held_out);
    record.run = planned.name;
    record.member = static_cast<int64_t>(m);
    record.kind = planned.kind;
    record.used = planned.kind == "ladder";
    record.seconds = result.seconds;
    records.push_back(record);
  }
  c.records.insert(c.records.end(), records.begin(), records.end());
  write_table(c);
  refresh_report(c, false);
  return records;
}

// Mean loss by learning rate, diverged seeds left out.
std::vector<BowlPoint> bowl_points(const std::vector<RunRecord>& records) {
  std::map<double, std::vector<double>> losses;
  for (const RunRecord& r : records) losses[r.lr].push_back(r.L);
  std::vector<BowlPoint> points;
  for (const auto& [lr, values] : losses) {
    double sum = 0.0;
    for (const double v : values) sum += v / static_cast<double>(values.size());
    points.push_back({lr, sum});
  }
  return points;
}

// Position in the table of the first member of sweep `index`.
size_t members_before(const Climb& c, size_t index) {
  size_t count = 0;
  for (size_t i = 0; i < index; ++i) count += static_cast<size_t>(c.plan.sweeps[i].members());
  return count;
}

// Learning rate and batch, from this data: bowls at two horizons, and the smallest rung at half and
// double batch.
LrRule sweep_stage(Climb& c) {
  enter_stage(c, "sweeps");
  constexpr double seed_noise = 0.008;  // relative, of one small run; only weights the rule
  const double coefficient = c.plan.options.batch_coefficient, lr = c.request.base.train.lr;
  std::vector<BowlFit> bowls;
  for (const PlannedRun& run : c.plan.sweeps)
    bowls.push_back(fit_bowl(bowl_points(train_planned(c, run, lr, coefficient)), seed_noise));
  LrRule rule =
      fit_lr_rule({bowls[0], bowls[3]}, {static_cast<double>(c.plan.sweeps[0].point.tokens),
                                         static_cast<double>(c.plan.sweeps[3].point.tokens)});
  // Another batch must win clearly, by twice the noise of two bowls: what is best at the smallest
  // rung need not be best at the target, and the middle one is what published rules agree on.
  double factor = 1.0;
  size_t chosen = 0;
  for (const size_t i : {size_t{1}, size_t{2}})
    if (bowls[i].loss < bowls[chosen].loss - (chosen == 0 ? 2.0 * seed_noise * bowls[0].loss : 0.0))
      chosen = i;
  if (chosen != 0) {
    factor = c.plan.sweeps[chosen].batch_factor;
    rule.log2_lr0 += bowls[chosen].log2_lr - bowls[0].log2_lr;
  }
  rule.batch_coefficient = coefficient * factor;
  Json optima = Json::array();
  for (size_t i = 0; i < bowls.size(); ++i) {
    Json entry = to_json(bowls[i]);
    entry["run"] = c.plan.sweeps[i].name;
    entry["width"] = c.plan.sweeps[i].point.width;
    entry["D"] = c.plan.sweeps[i].point.tokens;
    entry["batch_tokens"] = c.records[members_before(c, i)].batch_tokens;
    optima.push_back(entry);
  }
  write_json(c.file("rule.json"), {{"rule", to_json(rule)}, {"optima", optima}});
  c.say(fmt::format(
      "rule    lr {:.3g} at {} tokens, slope {:+.2f} per doubling; batch {:.2g} sqrt(D)",
      std::exp2(rule.log2_lr0), short_number(rule.tokens0), rule.slope, rule.batch_coefficient));
  return rule;
}

double rule_lr(const LrRule& rule, const PlannedRun& run) {
  return rule.at(static_cast<double>(run.point.tokens));
}

std::vector<RunRecord> ladder_stage(Climb& c, const LrRule& rule) {
  enter_stage(c, "ladder");
  std::vector<RunRecord> ladder;
  for (const PlannedRun& run : c.plan.ladder) {
    const std::vector<RunRecord> records =
        train_planned(c, run, rule_lr(rule, run), rule.batch_coefficient);
    double mean = 0.0, count = 0.0;
    for (const RunRecord& r : records)
      if (std::isfinite(r.L)) {
        ladder.push_back(r);
        mean += r.L;
        count += 1.0;
      }
    c.say(fmt::format("ladder  width {:>4}  N {:>6}  D {:>6}  loss {:.4f} ({} seeds)",
                      run.point.width, short_number(static_cast<double>(run.point.N)),
                      short_number(static_cast<double>(run.point.tokens)), mean / count,
                      static_cast<int>(count)));
  }
  return ladder;
}

Json forecast_entry(const Forecast& f) {
  const Fit& fit = f.fits[f.best];
  Json coefficients;
  for (const Estimate& e : fit.coefficients) coefficients[e.name] = e.value;
  return {{"law", fit.law->name},  {"coefficients", coefficients}, {"loss", f.prediction.loss},
          {"lo", f.prediction.lo}, {"hi", f.prediction.hi},        {"level", f.prediction.level},
          {"sources", f.sources},  {"candidates", f.candidates}};
}

// A second prediction from rungs of at most 1/50 of the target's FLOPs, where there are enough of
// them.
Json far_prediction(const Climb& c, const std::vector<RunRecord>& ladder) {
  std::vector<RunRecord> small;
  for (const RunRecord& r : ladder)
    if (r.C * 50.0 <= c.plan.target.point.C) small.push_back(r);
  try {
    Json entry = forecast_entry(
        forecast(small, c.plan.target.point, c.request.law, c.request.level, c.plan.options.seed));
    double largest = 0.0;
    for (const RunRecord& r : small) largest = std::max(largest, r.C);
    entry["extrapolation_flops"] = c.plan.target.point.C / largest;
    return entry;
  } catch (const Error&) {
    return nullptr;
  }
}

// Of the table without the clock's column, so that equal climbs record equal predictions.
std::string runs_sha256(std::vector<RunRecord> records) {
  for (RunRecord& r : records) r.seconds = NAN;
  return sha256(to_csv(records));
}

// The prediction's hash stands in the log before the target's first step; a climb that was killed
// between the two files logs it on resumption. Fails when the file is no longer the one recorded.
void record_prediction(Climb& c) {
  const Json prediction = read_json(c.file("prediction.json"));
  const std::string hash = sha256_file(c.file("prediction.json"));
  for (const Json& event : read_json_lines(c.file("log.jsonl")))
    if (event.value("event", "") == "prediction") {
      if (event.value("sha256", "") == hash) return;
      fail(
          "[climb] {} was changed after it had been recorded. Received SHA-256 {}, log.jsonl holds "
          "{}. Restore it, or start another climb.",
          c.file("prediction.json").string(), hash, event.value("sha256", ""));
    }
  c.log->write({{"event", "prediction"},
                {"sha256", hash},
                {"loss", prediction.at("loss")},
                {"lo", prediction.at("lo")},
                {"hi", prediction.at("hi")}},
               true);
}

// Writes fit.json and prediction.json, and the prediction's hash into the log, before the target's
// first step.
Json predict_stage(Climb& c, const std::vector<RunRecord>& ladder, const LrRule& rule) {
  enter_stage(c, "prediction");
  const PathPoint& target = c.plan.target.point;
  if (!fs::exists(c.file("prediction.json"))) {
    const Forecast f =
        forecast(ladder, target, c.request.law, c.request.level, c.plan.options.seed);
    std::vector<PathPoint> path;
    for (const PlannedRun& run : c.plan.ladder) path.push_back(run.point);
    path.push_back(target);
    write_json(c.file("fit.json"), forecast_json(f, ladder, path));
    const RunConfig config = members_of(c.plan.target, c.request.base, rule_lr(rule, c.plan.target),
                                        rule.batch_coefficient, c.plan.options)
                                 .front();
    Json prediction{{"target",
                     {{"N", target.N},
                      {"D", config.train.tokens},
                      {"C", target.C},
                      {"width", target.width},
                      {"depth", config.model.depth},
                      {"lr", config.train.lr},
                      {"batch_tokens", config.train.batch_tokens}}},
                    {"held_out",
                     {{"sha256", c.held_out.sha256},
                      {"tokens", static_cast<int64_t>(c.held_out.document.size())}}}};
    const Json entry = forecast_entry(f);
    for (const auto& [key, value] : entry.items()) prediction[key] = value;
    prediction["far"] = far_prediction(c, ladder);
    prediction["runs_csv_sha256"] = runs_sha256(c.records);
    write_file(c.file("target.toml"), to_toml(config));
    write_json(c.file("prediction.json"), prediction);  // last: its presence says that all is there
  }
  record_prediction(c);
  const Json prediction = read_json(c.file("prediction.json"));
  c.say(
      fmt::format("predict loss {:.4f}, {:.0f} % interval {:.4f} .. {:.4f}; recorded before the "
                  "target's first step",
                  prediction.at("loss").get<double>(), 100.0 * prediction.at("level").get<double>(),
                  prediction.at("lo").get<double>(), prediction.at("hi").get<double>()));
  return prediction;
}

Json target_json(const Climb& c) {
  const PathPoint& t = c.plan.target.point;
  return {{"N", t.N},
          {"D", t.tokens},
          {"C", t.C},
          {"width", t.width},
          {"depth", c.request.base.model.depth}};
}

Json outcome_json(const Climb& c, const Json& prediction, const RunRecord* measured) {
  Json json{{"status", measured ? "done" : "predicted"},
            {"target", target_json(c)},
            {"predicted",
             {{"loss", prediction.at("loss")},
              {"lo", prediction.at("lo")},
              {"hi", prediction.at("hi")}}}};
  if (measured) {
    const double loss = prediction.at("loss").get<double>();
    json["measured"] = {{"loss", measured->L}, {"se", json_number(measured->L_se)}};
    json["relative_error"] = (loss - measured->L) / measured->L;
    json["inside"] = measured->L >= prediction.at("lo").get<double>() &&
                     measured->L <= prediction.at("hi").get<double>();
    if (prediction.at("far").is_object())
      json["far"] = {{"loss", prediction.at("far").at("loss")},
                     {"relative_error",
                      (prediction.at("far").at("loss").get<double>() - measured->L) / measured->L},
                     {"extrapolation_flops", prediction.at("far").at("extrapolation_flops")}};
  }
  json["extrapolation_flops"] = c.plan.ahead();
  const double entropy = c.source->entropy(c.request.base.model.context);
  if (std::isfinite(entropy)) json["entropy"] = entropy;
  json["seconds"] = c.seconds();
  json["out"] = c.request.folder.string();
  return json;
}

void finish(Climb& c, const Json& json) {
  Json event{{"event", "end"}};
  for (const auto& [key, value] : json.items()) event[key] = value;
  c.log->write(event, true);
  write_report(c.request.folder);
}

// The error that ended the climb counts: a full disk must not put another in its place.
void record_failure(Climb& c, const Error& error) {
  try {
    if (c.log && fs::exists(c.file("plan.json")))
      finish(c, {{"status", error.kind == Failure::refused ? "refused" : "failed"},
                 {"error", error.what()}});
  } catch (const Error&) {
  }
}

Json run_stages(Climb& c) {
  open_folder(c);
  open_data(c);
  c.machine = make_machine(c.request.base.device, c.request.threads);
  enter_stage(c, "plan");
  make_plan(c);
  write_json(c.file("audit.json"),
             audit_json(members_of(c.plan.target, c.request.base, c.request.base.train.lr,
                                   c.plan.options.batch_coefficient, c.plan.options)
                            .front(),
                        c.source->vocabulary()));
  const LrRule rule = sweep_stage(c);
  const std::vector<RunRecord> ladder = ladder_stage(c, rule);
  const Json prediction = predict_stage(c, ladder, rule);
  if (c.request.predict_only) return outcome_json(c, prediction, nullptr);
  enter_stage(c, "target");
  const RunRecord measured =
      train_planned(c, c.plan.target, rule_lr(rule, c.plan.target), rule.batch_coefficient).front();
  return outcome_json(c, prediction, &measured);
}

}  // namespace

ClimbOutcome run_climb(const ClimbRequest& request, const ClimbHooks& hooks) {
  Climb c{.request = request, .hooks = hooks};
  try {
    const Json json = run_stages(c);
    finish(c, json);
    return {.json = json};
  } catch (const Interrupted&) {
    finish(c, {{"status", "interrupted"}});
    return {.json = {{"status", "interrupted"}, {"out", request.folder.string()}},
            .interrupted = true};
  } catch (const Error& error) {
    record_failure(c, error);
    throw;
  }
}

Json verify_climb(const fs::path& folder, double measured, double standard_error) {
  const Json prediction = read_json(folder / "prediction.json");
  const double loss = prediction.at("loss").get<double>();
  const bool inside = measured >= prediction.at("lo").get<double>() &&
                      measured <= prediction.at("hi").get<double>();
  Json json{
      {"status", "done"},
      {"target", prediction.at("target")},
      {"predicted", {{"loss", loss}, {"lo", prediction.at("lo")}, {"hi", prediction.at("hi")}}},
      {"measured", {{"loss", measured}, {"se", json_number(standard_error)}}},
      {"relative_error", (loss - measured) / measured},
      {"inside", inside},
      {"out", folder.string()}};
  JsonLog log(folder / "log.jsonl");
  Json event{{"event", "end"}};
  for (const auto& [key, value] : json.items()) event[key] = value;
  log.write(event, true);
  write_report(folder);
  return json;
}

}  // namespace rung
