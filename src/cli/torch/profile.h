// Where a training step's time goes: a few steps under Kineto, PyTorch's profiler.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/table.h"
#include "train/population.h"

namespace rung {

// What goes by one name (ops/span.h): on a GPU its kernels and copies, on a CPU its time on the
// workers, without that of spans within it.
struct ProfiledClass {
  std::string name;
  double seconds = 0.0;  // a step
  double share = 0.0;    // of all classes' seconds
  int64_t count = 0;     // kernels a step; ops on a CPU
};

struct StepProfile {
  std::string trace;                   // file
  double step_seconds = 0.0;           // as it was while profiled
  std::vector<ProfiledClass> classes;  // the longest first
};

// Makes a population, lets it take a first step and then `steps` more, and writes all of that as a
// Chrome trace to the file. A GPU replays its captured step, where no op is named: a kernel belongs
// to what launched one of its name before the capture.
StepProfile profile_steps(const std::function<std::unique_ptr<Population>()>& make, int64_t steps,
                          const std::string& trace);

Json profile_json(const StepProfile& profile);
std::string profile_text(const std::string& title, const StepProfile& profile);

}  // namespace rung
