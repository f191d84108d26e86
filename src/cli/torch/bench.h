// What the two halves of `rung bench` share. Each half takes its chosen cases and gives one row a
// case, in the order given.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/torch/gpu_cases.h"
#include "cli/verb.h"
#include "core/clock.h"
#include "core/table.h"
#include "train/population.h"

namespace rung {

struct BenchOptions {
  int64_t steps = 300, warmup = 5;  // of a round on the CPU
  double seconds = 2.0;             // of a round on the GPU
  int cpu_rounds = 2, gpu_rounds = 3;
  int threads = 1;
  std::string python;      // that runs the rivals; empty: none
  bool compile = false;    // the CPU's rival may compile
  bool any_order = false;  // ours on a GPU may add gradients in any order, as the rival does
  std::string profile;     // folder for a trace a case; empty: none
  std::vector<std::string> settings;     // key=value, of ours on a GPU
  std::vector<std::string> rival_forms;  // that the rival tries on a GPU; none: those of the case
};

// One model and the way in which the rival trains its members on the CPU.
struct CpuCase {
  std::string_view name, summary;
  int64_t width, members;
  int processes;  // of the rival, at once; the members and the threads are shared out among them
};
inline constexpr std::array cpu_cases{
    CpuCase{"sweep8-w64", "8 learning rates at width 64; rival: one after another", 64, 8, 1},
    CpuCase{"sweep8-w64-processes", "8 learning rates at width 64; rival: a process a thread", 64,
            8, 0},
    CpuCase{"single-w256", "one model at width 256", 256, 1, 1},
};

struct BenchTable {
  Json cases = Json::array();
  Json machine;  // what was measured of it; null on the CPU
  TableRow head;
  std::vector<TableRow> rows;
  std::string profiles;  // a table a case; empty without --profile
  bool failed = false;   // some case could not be measured
};

BenchTable run_cpu_cases(std::span<const CpuCase* const> cases, const BenchOptions& options,
                         const Arguments& arguments);
BenchTable run_gpu_cases(std::span<const GpuCase* const> cases, const BenchOptions& options,
                         const Arguments& arguments);

// The command that serves a rival from bench/NAME.
std::vector<std::string> rival_command(const BenchOptions& options, const std::string& name);

// Profiles ours in a case where that is wanted; the table and the row get what it says.
void add_profile(const BenchOptions& options, std::string_view name,
                 const std::function<std::unique_ptr<Population>()>& make, Json& row,
                 BenchTable& table);

// Applies one of BenchOptions::settings.
void set_bench_key(RunConfig& config, const std::string& text);

double median(std::vector<double> values);
std::string joined(std::span<const std::string> words, std::string_view between);

}  // namespace rung
