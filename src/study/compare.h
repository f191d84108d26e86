// Alternatives (parts, or any settings) compared by their laws: a climb each, and who is ahead
// where.
#pragma once
#include <string>
#include <vector>

#include "study/together.h"

namespace rung {

// Runs a climb for each alternative in folder/NAME, resuming what is there; after each one writes
// folder/compare.json and compare.html. A budget of FLOPs is shared equally; one of time as well
// where climbs run in turn, and where they run together each has all of it. Then what a run costs
// is timed once more, alone (NAME/alone.json). Every climb verifies its own prediction; the
// comparison fits each law to all runs of its climb, targets included. Folders and budgets of the
// requests are set here; names are folders.
ClimbOutcome compare_climbs(const std::filesystem::path& folder,
                            std::vector<NamedClimb> alternatives, bool together,
                            const ClimbHooks& hooks);

// The comparison of finished climbs, in the order of the folders; null with fewer than two.
Json compare_folders(const std::vector<std::filesystem::path>& climbs);

}  // namespace rung
