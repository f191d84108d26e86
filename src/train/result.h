// What a run found, one entry a member and finish, and result.json, which holds it.
#pragma once
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "train/population.h"

namespace rung {

struct MemberResult {
  RunConfig config;
  MemberStatus status = MemberStatus::running;
  int64_t steps = 0, tokens = 0;
  double loss = 0.0, standard_error = 0.0;  // held-out; NaN when diverged
  double training_loss = 0.0;
};

using Finishes = std::vector<std::vector<MemberResult>>;  // [finish][member]

Json to_json(const MemberResult& result);

Json finishes_to_json(const Finishes& finishes);
Finishes finishes_from_json(const Json& json, std::span<const RunConfig> members);

// A run that has ended: what FOLDER/result.json holds.
struct EndedRun {
  Finishes finishes;
  double flops = 0.0;    // of one member
  double seconds = 0.0;  // of all processes that it took
};
void write_result(const std::filesystem::path& folder, const EndedRun& run);
// Nothing where the run has not ended, or does not say what its settings were. Fails when it is a
// run of other members.
std::optional<EndedRun> read_result(const std::filesystem::path& folder,
                                    std::span<const RunConfig> members);

}  // namespace rung
