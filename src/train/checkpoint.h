// Checkpoints: weights and optimizer state as safetensors, then state.json, whose rename commits
// them.
#pragma once
#include <filesystem>
#include <optional>

#include "train/population.h"

namespace rung {

// Writes FOLDER/STEP/{weights,optimizer}.safetensors and state.json. `position` is the driver's own
// record.
void save_checkpoint(const Population& population, const std::filesystem::path& folder,
                     const Json& position);

// Restores step, weights, optimizer state and member states; returns `position`. Fails on a damaged
// checkpoint or one of another configuration, naming the first key that differs.
Json load_checkpoint(Population& population, const std::filesystem::path& checkpoint);

// The committed checkpoint furthest along a run (position.done_steps, then position.finish), if
// any; uncommitted remains are ignored. Step numbers alone do not order a trunk and its cooldowns.
std::optional<std::filesystem::path> newest_checkpoint(const std::filesystem::path& folder);
// Removes what an interruption alone wrote (position.passing) and what was never committed, except
// `newest`: a job that is stopped every minute would fill its disk.
void remove_passing_checkpoints(const std::filesystem::path& folder,
                                const std::filesystem::path& newest);
// Removes all. Fails with the folder's name.
void remove_checkpoints(const std::filesystem::path& folder);
std::filesystem::path checkpoint_path(const std::filesystem::path& folder, int64_t step);

}  // namespace rung
