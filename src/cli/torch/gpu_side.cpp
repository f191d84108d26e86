#include "cli/torch/gpu_side.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "train/device.h"

namespace rung {

double tokens_per_step(const GpuCase& c) {
  return static_cast<double>(c.members * c.batch * c.context);
}

double flops_of_token(const Ours& ours, const GpuCase& c) {
  return 3.0 * forward_flops(ours.population->decoder, c.context) / static_cast<double>(c.context);
}

std::unique_ptr<Population> make_ours(const GpuCase& c, const Bench& bench,
                                      std::shared_ptr<const TokenSource> source) {
  std::vector<RunConfig> members = gpu_members(c);
  for (RunConfig& member : members) {
    member.train.deterministic = !bench.options.any_order;
    for (const std::string& text : bench.options.settings) set_bench_key(member, text);
  }
  return std::make_unique<Population>(members, std::move(source), bench.machine);
}

Ours start(const GpuCase& c, const Bench& bench) {
  const std::shared_ptr<const TokenSource> source = zipf_tokens(c.vocabulary);
  restart_gpu_memory();
  Ours ours;
  const auto begin = Clock::now();
  ours.population = make_ours(c, bench, source);
  ours.build_seconds = seconds_since(begin);
  const auto first = Clock::now();
  ours.population->advance();
  ours.population->sync();
  ours.capture_seconds = seconds_since(first);
  ours.memory = peak_gpu_memory();
  return ours;
}

Round our_round(const Ours& ours, const GpuCase& c, const Bench& bench) {
  Population& population = *ours.population;
  const auto step = [&] {
    population.advance();
    if (bench.arguments.interrupted()) fail("[bench] Interrupted.");
  };
  int64_t warm = 0;
  const auto begin = Clock::now();
  for (; seconds_since(begin) < untimed_share * bench.options.seconds || warm < 2; ++warm) step();
  population.sync();
  const double each = seconds_since(begin) / static_cast<double>(warm);
  int64_t steps = std::max<int64_t>(3, std::llround(bench.options.seconds / each));
  if (c.optimizer != "adamw") steps = (steps + 9) / 10 * 10;
  bench.meter.begin();
  const auto timed = Clock::now();
  for (int64_t i = 0; i < steps; ++i) step();
  population.sync();
  const double rate = tokens_per_step(c) * static_cast<double>(steps) / seconds_since(timed);
  const PowerUse use = bench.meter.end();
  if (!std::isfinite(population.states.front().loss))
    fail("[bench] {} diverged, so its speed means nothing.", c.name);
  return {rate, use};
}

}  // namespace rung
