// A product of settings, trained as populations, one group of equal shapes after the other.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "study/groups.h"
#include "study/rate_line.h"
#include "study/runs_csv.h"
#include "train/run.h"

namespace rung {

// What every study needs from outside.
struct StudyContext {
  std::filesystem::path folder;
  bool resume = false;
  bool keep_checkpoints = true;  // of a sweep's populations that have ended
  // Opens the data of a configuration; the same source for equal data keys.
  std::function<std::shared_ptr<const TokenSource>(const DataConfig&)> open;
  Machine machine;
  RunHooks hooks;
  std::function<void(const std::string&)> note;  // one line for people
};

struct StudyResult {
  std::vector<RunRecord> records;  // in the order of the members, finishes of a member in order
  double seconds = 0.0;
  bool interrupted = false;  // saved; call again with resume
};

// Trains all members and writes FOLDER/runs.csv after every group, FOLDER/study.json before the
// first. With resume, groups that runs.csv holds are not trained again. Fails when every member
// diverged, and on a folder that holds another study.
StudyResult run_sweep(std::span<const RunConfig> members, const StudyContext& context);

// One population of a study, in FOLDER/runs/NAME with its tokenizer.
struct TrainedGroup {
  std::shared_ptr<const TokenSource> source;
  HeldOut held_out;
  RunResult result;
};
TrainedGroup train_in_study(const StudyContext& context, const Group& group,
                            const std::vector<Schedule>& finishes = {});

// Writes FOLDER/study.json, or compares with the one there: another study, or one without --resume,
// fails.
void claim_folder(const std::filesystem::path& folder, const Json& plan, bool resume);

// The best learning rate at each point of the other swept keys, averaged over seeds; `members` in
// the order of records. A point with fewer than three rates that trained has none.
struct SweepOptimum {
  std::string where;  // the other keys' values, such as "model.width=64"; empty without any
  BowlFit bowl;       // of the seeds' means
  // Of the optimum in log2: what the seeds' own optima scatter, or of one seed the bowl's.
  double se = 0.0;
  int64_t seeds = 1;
};
std::vector<SweepOptimum> sweep_optima(std::span<const RunConfig> members,
                                       std::span<const RunRecord> records,
                                       std::span<const std::string> keys);

// "key=value key=value" of the keys beside the learning rate, the seed and `without`.
std::string settings_text(const RunConfig& config, std::span<const std::string> keys,
                          std::string_view without = {});

// The text of one field.
std::string field_text(const RunConfig& config, const std::string& key);

}  // namespace rung
