// The captured training step alone, for profilers and a quick look: `gpu_step [CASE] [STEPS]
// [ordered|any-order|flash] [MOMENTS] [KEY=VALUE...]` runs the case of `rung bench` that is called
// CASE, else those whose names contain it, with Adam's moments in fp32, bf16 or fp8 and settings as
// `rung train --set` takes them. 0 steps: capture only.
#include <ATen/Context.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "cli/torch/gpu_cases.h"
#include "config/resolve.h"
#include "core/clock.h"
#include "core/power_meter.h"
#include "train/device.h"
#include "train/population.h"

using namespace rung;

namespace {

void run(const GpuCase& c, int steps, bool any_order, const std::vector<Setting>& settings,
         const Machine& machine) {
  const auto start = Clock::now();
  std::vector<RunConfig> members = gpu_members(c);
  for (RunConfig& member : members) {
    member.train.deterministic = !any_order;
    for (const Setting& s : settings) apply_setting(member, s.key, s.values.front());
  }
  Population p(members, zipf_tokens(c.vocabulary), machine);
  const double built = seconds_since(start);
  const auto first = Clock::now();
  p.advance();
  p.sync();
  const double capture = seconds_since(first), loss = p.states[0].loss;
  for (int i = 0; i < std::min(10, steps); ++i) p.advance();
  p.sync();
  if (steps == 0) return;
  std::vector<double> rates;
  PowerMeter meter(gpu_address());
  meter.begin();
  const double tokens = static_cast<double>(c.members * c.batch * c.context);
  for (int repeat = 0; repeat < 3; ++repeat) {
    const auto begin = Clock::now();
    for (int i = 0; i < steps; ++i) p.advance();
    p.sync();
    rates.push_back(tokens * steps / seconds_since(begin));
  }
  const PowerUse use = meter.end();
  std::sort(rates.begin(), rates.end());
  std::printf(
      "%-13s %8.3fM member-tok/s (%.3f-%.3f)  step %.3f ms  build %.2f s  capture %.2f s  memory "
      "%.2f GiB, of tensors %.2f  %.0f W, %.2f GHz%s  loss %.3f -> %.9g\n",
      c.name.data(), rates[1] / 1e6, rates[0] / 1e6, rates[2] / 1e6, tokens / rates[1] * 1e3, built,
      capture, static_cast<double>(peak_gpu_memory()) / 1073741824.0,
      static_cast<double>(peak_gpu_use()) / 1073741824.0, use.watts, use.clock / 1e9,
      use.limited > 0.5 ? " (limit)" : "", loss, p.states[0].loss);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const char* filter = argc > 1 ? argv[1] : "";
  const int steps = argc > 2 ? std::atoi(argv[2]) : 10;
  const char* attention = argc > 3 ? argv[3] : "ordered";
  if (std::strcmp(attention, "flash") == 0) at::globalContext().setSDPUseCuDNN(false);
  try {
    std::vector<Setting> settings;
    for (int i = 4; i < argc; ++i)
      settings.push_back(std::strchr(argv[i], '=') ? parse_setting(argv[i])
                                                   : Setting{"train.moments", {argv[i]}});
    at::globalContext().lazyInitDevice(at::kCUDA);  // memory is asked about before its first use
    const Machine machine = make_machine("cuda", 14);
    const bool exact = std::any_of(gpu_cases.begin(), gpu_cases.end(),
                                   [&](const GpuCase& c) { return c.name == filter; });
    for (const GpuCase& c : gpu_cases)
      if (exact ? c.name == filter : c.name.find(filter) != c.name.npos) {
        restart_gpu_memory();
        run(c, steps, std::strcmp(attention, "any-order") == 0, settings, machine);
      }
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
