// What the stages of one climb share: its request, data, plan and records, and the one way in which
// a planned population is trained, recorded and drawn.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/events.h"
#include "core/files.h"
#include "study/climb.h"
#include "study/lr_rule.h"
#include "study/runs_csv.h"

namespace rung {

struct Interrupted {};  // unwinds to run_climb once everything is saved

// The state of one call: what every stage reads and writes.
struct Climb {
  ClimbRequest request;  // its text by the path that the folder knows it by
  const ClimbHooks& hooks;
  Clock::time_point start = Clock::now();
  std::shared_ptr<const TokenSource> source;
  HeldOut held_out;
  Machine machine;
  ClimbPlan plan;
  std::vector<RunRecord> records;
  std::vector<std::string> points;  // of each record (study/runs_csv.h)
  std::unique_ptr<FolderLock> lock;
  bool made_folder = false;  // it was not there before
  std::unique_ptr<JsonLog> log;
  Clock::time_point last_report = Clock::now();
  // For the time left: costs of the populations behind, and of what this process trained of them,
  // and the seconds at which it began to.
  double cost_behind = 0.0, cost_trained = 0.0, training_from = -1.0;

  double seconds() const { return seconds_since(start); }
  fs::path file(const char* name) const { return request.folder / name; }
  void say(const std::string& line) const {
    if (hooks.say) hooks.say(line);
  }
};

// Rewrites the report, but unless `now` never often enough to cost anything.
void refresh_report(Climb& c, bool now);

void enter_stage(Climb& c, const std::string& stage);

// Trains one planned population (or reads it back) and appends its members to runs.csv.
std::vector<RunRecord> train_planned(Climb& c, const PlannedRun& planned, double lr,
                                     double batch_coefficient);

}  // namespace rung
