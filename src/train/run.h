// One run on disk: trains a population, along a trunk with one or more cooldown branches, into a
// folder of plain files.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/progress.h"
#include "train/result.h"

namespace rung {

struct RunRequest {
  std::vector<RunConfig> members;
  // Where the trunk is finished, in steps, ascending; empty: once, at the end of train.tokens.
  std::vector<Schedule> finishes;
  std::filesystem::path folder;  // empty: nothing is written
  std::string label;             // for progress
  bool resume = false;
  // Of a run that has ended; without them result.json, which `resume` reads back, is what is left.
  bool keep_checkpoints = true;
  // Whether a population of which every member diverged fails; else its losses are NaN.
  bool fails_diverged = true;
};

struct RunResult {
  Finishes finishes;
  double seconds = 0.0;      // those of interrupted processes included
  double flops = 0.0;        // spent by one member: trunk and all cooldowns
  bool interrupted = false;  // saved; call again with resume
};

struct RunHooks {
  std::function<bool()> interrupted;              // polled between steps
  std::function<void(const Progress&)> progress;  // called often; the receiver thins out
};

// Trains and evaluates. With `resume`, finished work in the folder is read back and a torn run
// continues bitwise. Fails on a folder that holds another run or that another process is training
// into.
RunResult train_run(const RunRequest& request, std::shared_ptr<const TokenSource> source,
                    const HeldOut& held_out, const Machine& machine, const RunHooks& hooks);

}  // namespace rung
