// Climbs in one call: one after the other, or at the same time.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/error.h"
#include "study/climb.h"

namespace rung {

struct NamedClimb {
  std::string name;
  ClimbRequest request;
};

// What one of climbs that share a budget failed with, and which one it was.
Error in_climb(const Error& error, const std::string& name, size_t alternatives);

// Each has the machine for itself; `finished` follows each one. False where one was interrupted.
bool climb_in_turn(const std::vector<NamedClimb>& climbs, const ClimbHooks& hooks,
                   const std::function<void(size_t)>& finished);

// A thread each, for machines that one narrow model leaves mostly idle. An error ends its own climb
// alone and is rethrown when all have ended; lines begin with the climb's name, and progress is the
// first unfinished one's. `finished` and the hooks but `interrupted` are called by one thread at a
// time.
bool climb_together(const std::vector<NamedClimb>& climbs, const ClimbHooks& hooks,
                    const std::function<void(size_t)>& finished);

// Of climbs on one GPU, by the seconds that a FLOP takes in each when nothing else runs: the
// slower, the more its steps are small kernels behind one another, which hardly fill a GPU but wait
// long behind the large ones of others. They go first, on three levels (train/population.h).
std::vector<int> priorities_by_pace(const std::vector<double>& seconds_per_flop);

// What `measure(i)` gives for the i-th name, kept in a file by name: what stands there is not
// measured again, so that climbs which are resumed wait for nothing and rank as they did.
std::vector<double> kept_paces(const std::filesystem::path& file,
                               const std::vector<std::string>& names,
                               const std::function<double(size_t)>& measure);

}  // namespace rung
