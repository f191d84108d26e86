// A finished (or interrupted) run folder opened for evaluation and generation.
#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "data/source.h"
#include "train/population.h"

namespace rung {

struct OpenRun {
  std::filesystem::path folder, checkpoint;  // of the population that holds the member
  RunConfig config;
  std::shared_ptr<const TokenSource> source;  // the run's own data and tokenizer, or data of `path`
  Machine machine;
  std::unique_ptr<Population> population;  // one member: the chosen one
};

struct OpenRequest {
  std::filesystem::path folder;
  int64_t member = 0;
  std::string data_path;    // empty: the run's own
  bool reads_text = false;  // else its tokenizer is enough where the run's own text is not there
  double held_out = 0.0;    // 0: the run's own share
  std::string device;       // empty: as trained
  int threads = 1;
  std::filesystem::path cache;  // of token shards
};

// Reads the newest checkpoint. A folder of several populations (runs.json) finds the
// member's own. Fails on folders without a checkpoint, members out of range and damaged files.
OpenRun open_run(const OpenRequest& request);

// How many members a run's folder holds, and the one of the least held-out loss as result.json
// says; -1 where none does. Fails as open_run does.
struct MemberList {
  int64_t count = 0, best = -1;
};
MemberList list_members(const std::filesystem::path& folder);

// A tokenizer.model (or .json) beside the runs, so that they stand without the cache; nothing for
// bytes and synthetic data.
void keep_tokenizer(const TokenSource& source, const std::filesystem::path& folder);

}  // namespace rung
