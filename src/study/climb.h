// The climb: sweeps on small rungs, a ladder, a fit with its interval, a recorded prediction, the
// target, the error. Every stage leaves plain files in the climb's folder, and continues from them.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "study/climb_plan.h"
#include "study/groups.h"
#include "train/run.h"

namespace rung {

struct ClimbRequest {
  RunConfig base;          // parts, data, device; width, depth and tokens are the climb's to choose
  ClimbOptions plan;       // plan.flops 0: from `seconds`
  double seconds = 240.0;  // wall time of everything, when no FLOP budget is given
  // The budget as it was asked for, before alternatives share it; plan.json keeps it. Where a
  // resumption does not ask for one (`budget_given`), the recorded one goes on.
  double asked_seconds = 0.0, asked_flops = 0.0;
  bool budget_given = false;
  std::filesystem::path folder;
  std::string cache;  // for tokenized text
  std::string law;    // empty: chosen by rollout
  double level = 0.9;
  bool resume = false, predict_only = false;
  bool keep_checkpoints = false;  // of sweeps; rungs and the target have theirs in any case
  bool company = false;           // other climbs start with it and share the machine
  int priority = -1;              // among them (train/population.h)
  int threads = 1;
  std::vector<std::string> command_line;
  std::vector<std::string> alternative;  // of a comparison: what it sets, as key=value
};

struct ClimbHooks {
  std::function<bool()> interrupted;
  std::function<void(const Progress&)> progress;
  std::function<void(const std::string&)> say;  // one line a stage
};

struct ClimbOutcome {
  Json json;                 // the contract's keys
  bool interrupted = false;  // saved; continue with resume
};

// A whole climb, or what an earlier one in `request.folder` left of it (with resume). Fails when
// the budget or the text is too small and on a folder of another climb; refuses when fewer than
// four rungs can be used, before the target trains.
ClimbOutcome run_climb(const ClimbRequest& request, const ClimbHooks& hooks);

// What a climb would train; nothing is trained but a probe of this machine's speed, nothing
// written.
struct DryClimb {
  ClimbPlan plan;
  int64_t vocabulary = 0;
  std::vector<Group> groups;  // sweeps, ladder and, unless it is trained elsewhere, the target
};
DryClimb plan_only(const ClimbRequest& request);

// Compares a target that was trained elsewhere with a climb's prediction and records it in the
// climb's log.
Json verify_climb(const std::filesystem::path& folder, double measured, double standard_error);

}  // namespace rung
