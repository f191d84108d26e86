// The rival of the GPU cases: bench/rival_gpu.py, a process for each shape. One that fails is given
// up with a warning, and its cases go on without it.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "cli/output.h"
#include "cli/torch/gpu_side.h"
#include "cli/torch/rival.h"

namespace rung {

struct Opponent {
  std::unique_ptr<Rival> process;  // null: none was asked for, or it failed
  Json prepared;                   // its answer to `prepare`; null before
};
using Opponents = std::map<std::string_view, Opponent>;  // by shape

// Starts the processes, not yet their compilation: importing torch alone takes seconds.
Opponents start_opponents(std::span<const GpuCase* const> cases, const BenchOptions& options);

// Compiles the shapes of all these cases at once, and waits.
void prepare(Opponents& opponents, std::span<const GpuCase* const> cases,
             const BenchOptions& options, Output& out);

// What our_round (gpu_side.h) says of ours; nothing without a rival.
std::optional<Round> rival_round(Opponent& opponent, const GpuCase& c, const Bench& bench);

}  // namespace rung
