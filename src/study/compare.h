// Alternatives (parts, or any settings) compared by their laws: a climb each, and who is ahead
// where.
#pragma once
#include <string>
#include <vector>

#include "study/climb.h"

namespace rung {

struct Alternative {
  std::string name;      // the folder of its climb
  ClimbRequest request;  // folder and budget are set by compare_climbs
};

// Runs a climb for each alternative in folder/NAME, on equal shares of the budget, resuming what is
// there; after each one writes folder/compare.json and compare.html. Every climb verifies its own
// prediction; the comparison then fits each law to all runs of its climb, targets included.
ClimbOutcome compare_climbs(const std::filesystem::path& folder,
                            std::vector<Alternative> alternatives, const ClimbHooks& hooks);

// The comparison of finished climbs, in the order of the folders; null with fewer than two.
Json compare_folders(const std::vector<std::filesystem::path>& climbs);

}  // namespace rung
