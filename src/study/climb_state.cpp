#include "study/climb_state.h"

#include <algorithm>

#include "core/error.h"
#include "report/report.h"

namespace rung {

void refresh_report(Climb& c, bool now) {
  if (!now && seconds_since(c.last_report) < 15.0) return;
  c.last_report = Clock::now();
  write_report(c.request.folder);
}

void enter_stage(Climb& c, const std::string& stage) {
  c.log->write({{"event", "stage"}, {"stage", stage}, {"seconds", c.seconds()}});
  refresh_report(c, true);
}

namespace {

void write_table(Climb& c) {
  fill_seed_sd(c.records, c.points);
  write_runs(c.file("runs.csv"), c.records);
}

// A failure says which of the climb's populations it was.
RunResult train_named(const RunRequest& request, const Climb& c, const RunHooks& hooks) {
  try {
    return train_run(request, c.source, c.held_out, c.machine, hooks);
  } catch (const Error& error) {
    constexpr std::string_view where = "[train] ";
    const std::string_view what = error.what();
    if (!what.starts_with(where)) throw;
    throw Error(fmt::format("[climb] {}: {}", request.label, what.substr(where.size())),
                error.kind);
  }
}

// What a population costs in time, in a unit of its own: a step of narrow models takes time in
// proportion to their width, not to their FLOPs, which grow as its square.
double cost(const PlannedRun& run) {
  constexpr int64_t wide = 256;
  return run.flops() / static_cast<double>(std::min(run.point.width, wide));
}

double cost(const ClimbPlan& plan) {
  double sum = plan.options.train_target ? cost(plan.target) : 0.0;
  for (const auto* stage : {&plan.sweeps, &plan.ladder})
    for (const PlannedRun& run : *stage) sum += cost(run);
  return sum;
}

// A population's progress as a part of its climb; `trained`: its cost as far as this process bore
// it.
Progress part_of_climb(Climb& c, const PlannedRun& planned, double trained, Progress p) {
  constexpr double first_seconds = 2.0;  // say nothing of the rest
  const double all = cost(c.plan), done = c.cost_behind + p.done / p.total * cost(planned);
  if (c.training_from < 0.0) c.training_from = c.seconds() - p.seconds;
  const double seconds = c.seconds() - c.training_from;
  p.whole = "climb";
  p.whole_share = done / all;
  if (seconds >= first_seconds)
    p.whole_left = std::max(0.0, all - done) * seconds / (c.cost_trained + trained);
  return p;
}

}  // namespace

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
  double trained = 0.0;  // of this population's cost, by this process
  RunHooks hooks{.interrupted = c.hooks.interrupted, .progress = [&](const Progress& p) {
                   trained = (p.done - p.resumed_from) / p.total * cost(planned);
                   if (c.hooks.progress) c.hooks.progress(part_of_climb(c, planned, trained, p));
                   refresh_report(c, false);
                 }};
  const RunResult result =
      train_named({.members = members,
                   .folder = folder,
                   .label = planned.name,
                   .resume = c.request.resume && fs::exists(folder),
                   .keep_checkpoints = planned.kind != "sweep" || c.request.keep_checkpoints},
                  c, hooks);
  if (result.interrupted) throw Interrupted{};
  c.cost_behind += cost(planned);
  c.cost_trained += trained;
  std::vector<RunRecord> records;
  for (size_t m = 0; m < members.size(); ++m) {
    const int64_t steps = members[m].train.tokens / members[m].train.batch_tokens;
    RunRecord record = make_record(result.finishes.back()[m],
                                   make_schedule(members[m].train, steps), *c.source, c.held_out);
    record.run = planned.name;
    record.member = static_cast<int64_t>(m);
    record.kind = planned.kind;
    record.used = planned.kind == "ladder";
    record.seconds = result.seconds / static_cast<double>(members.size());
    records.push_back(record);
    c.points.push_back(point_text(members[m]));
  }
  c.records.insert(c.records.end(), records.begin(), records.end());
  write_table(c);
  refresh_report(c, false);
  return records;
}

}  // namespace rung
