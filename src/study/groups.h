// Members of any shape, sorted into populations: one group a shape, batch, length and data.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/source.h"
#include "train/memory.h"

namespace rung {

struct Group {
  std::string name;  // w64d4-1m; unique among its siblings, stable for the same list of members
  std::vector<RunConfig> members;
  std::vector<size_t> index;  // of each member in the list that was split
};

// What members of one population have in common: on CUDA their multipliers too, which are constants
// of its kernels.
Json shared_settings(const RunConfig& config);

// Groups in order of their first member. Learning rate, decay, betas, epsilon, clip, multipliers
// and seed may differ inside a group; every other key splits.
std::vector<Group> group_members(std::span<const RunConfig> members);

// Groups whose members train at once within train.memory, or within a share of the GPU where it is
// 0: a group too large for it becomes several, as even as can be.
using Vocabulary = std::function<int64_t(const DataConfig&)>;
std::vector<Group> fitted_groups(std::span<const RunConfig> members, const Vocabulary& vocabulary,
                                 int threads);

// runs.json of a folder with several populations: where each member lies, runs/GROUP and its place
// there, for whatever opens a member.
void keep_places(const std::filesystem::path& folder, std::span<const Group> groups);
// The populations that a folder began with, whatever the GPU of the day has room for; `groups`
// where it holds none.
std::vector<Group> kept_groups(const std::filesystem::path& folder, std::vector<Group> groups);

// Fails before any training where a group cannot be trained: shapes, parts, schedule, or (unless
// data.repeat) fewer distinct training tokens than it wants.
void check_group(const Group& group, const TokenSource& source);

// What training will need, before it begins. flops are those of all members.
struct Requirements {
  int64_t N = 0, N_total = 0, tokens = 0, steps = 0, members = 0;
  double flops = 0.0;
  MemoryPlan memory = {};
};
// By counting; `threads` are those of a CPU, whose members share them.
Requirements estimate(const Group& group, int64_t vocabulary, int threads);

}  // namespace rung
