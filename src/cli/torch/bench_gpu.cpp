// The GPU cases of rung bench. Every shape's rival (bench/rival_gpu.py, a process each) compiles
// first, all of them at once, while nothing is timed; then rival and ours take turns on the card.
#include <algorithm>
#include <map>

#include "cli/torch/gpu_row.h"
#include "cli/torch/opponent.h"
#include "core/error.h"
#include "study/ceiling.h"
#include "train/device.h"

namespace rung {
namespace {

void note_ours(GpuRow& row, const Ours& ours, const GpuCase& c) {
  row.build_seconds = ours.build_seconds;
  row.capture_seconds = ours.capture_seconds;
  row.memory = ours.memory;
  row.flops_per_token = flops_of_token(ours, c);
}

// Rival, ours, rival, ours, ...: a card that slows down slows both.
GpuRow in_turns(const GpuCase& c, Opponent& opponent, const Bench& bench) {
  GpuRow row;
  const Ours ours = start(c, bench);
  note_ours(row, ours, c);
  row.rival = opponent.prepared;
  for (int round = 0; round < bench.options.gpu_rounds; ++round) {
    const std::optional<Round> rival = rival_round(opponent, c, bench);
    row.ours.push_back(our_round(ours, c, bench));
    if (!rival) continue;
    row.rivals.push_back(*rival);
    row.ratios.push_back(row.ours.back().rate / rival->rate);
  }
  return row;
}

// Ours, the rival, ours again, each alone on the card: for two that may not fit beside each other.
GpuRow sandwich(const GpuCase& c, Opponents& opponents, const Bench& bench) {
  GpuRow row;
  Opponent& opponent = opponents[c.shape];
  const int rounds = bench.options.gpu_rounds, before = (rounds + 1) / 2;
  const auto ours = [&](int count) {
    if (count < 1) return;
    const Ours side = start(c, bench);
    note_ours(row, side, c);
    for (int i = 0; i < count; ++i) row.ours.push_back(our_round(side, c, bench));
  };
  ours(before);
  restart_gpu_memory();
  const GpuCase* self = &c;
  prepare(opponents, std::span(&self, 1), bench.options, *bench.arguments.out);
  row.rival = opponent.prepared;
  for (int round = 0; round < rounds; ++round)
    if (const std::optional<Round> rival = rival_round(opponent, c, bench))
      row.rivals.push_back(*rival);
  opponents.erase(c.shape);
  ours(rounds - before);
  return row;
}

// The plain case, ours, the plain case again, each alone on the card: an optimizer whose first step
// takes long is started once.
GpuRow beside_plain(const GpuCase& c, const Bench& bench) {
  GpuRow row;
  const GpuCase plain = plain_of(c);
  const int rounds = bench.options.gpu_rounds, before = (rounds + 1) / 2;
  const auto beside = [&](int count) {
    if (count < 1) return;
    const Ours side = start(plain, bench);
    row.rival_flops_per_token = flops_of_token(side, plain);
    row.rival_memory = side.memory;
    for (int i = 0; i < count; ++i) row.rivals.push_back(our_round(side, plain, bench));
  };
  beside(before);
  {
    const Ours side = start(c, bench);
    note_ours(row, side, c);
    for (int i = 0; i < rounds; ++i) row.ours.push_back(our_round(side, c, bench));
  }
  beside(rounds - before);
  return row;
}

// A case that fails (too large for this card) leaves the others alone.
Json run_gpu_case(const GpuCase& c, Opponents& opponents, const Bench& bench, BenchTable& table) {
  const auto begin = Clock::now();
  try {
    GpuRow row = has_plain(c) ? beside_plain(c, bench)
                 : c.alone    ? sandwich(c, opponents, bench)
                              : in_turns(c, opponents[c.shape], bench);
    row.seconds = seconds_since(begin);
    Json json = gpu_row_json(c, row, bench);
    const auto make = [&] {
      restart_gpu_memory();
      return make_ours(c, bench, zipf_tokens(c.vocabulary));
    };
    add_profile(bench.options, c.name, make, json, table);
    bench.arguments.out->note(joined(gpu_table_row(json), "  "));
    return json;
  } catch (const std::exception& error) {
    if (bench.arguments.interrupted()) throw;
    bench.arguments.out->warn(fmt::format("bench: {} failed: {}", c.name, error.what()));
    return {{"case", c.name}, {"error", error.what()}};
  }
}

// The best that the card does for a moment, and what it keeps up, at which power.
Json measure_ceilings(Bench& bench) {
  bench.matmul = matmul_ceiling("cuda", "bf16", 1);
  bench.copy = copy_ceiling("cuda");
  const double seconds = bench.options.seconds;
  const auto keep = [&](double (*rate)(double), double& joules) {
    bench.meter.begin();
    Round kept{rate(seconds), {}};
    kept.use = bench.meter.end(untimed_share * seconds);
    joules = kept.use.watts / kept.rate;
    return kept;
  };
  const Round matmul = keep(kept_matmul, bench.matmul_joules),
              copy = keep(kept_copy, bench.copy_joules);
  Output& out = *bench.arguments.out;
  out.note(fmt::format("{}: matmul {:.0f} TFLOP/s, copy {:.2f} TB/s", gpu_name(),
                       bench.matmul / 1e12, bench.copy / 1e12));
  const Json matmul_power = power_json(std::span(&matmul, 1), "joules_per_flop"),
             copy_power = power_json(std::span(&copy, 1), "joules_per_byte");
  const auto at = [](const Json& power) {
    return power.is_null() ? std::string() : " at " + power_text(power);
  };
  out.note(fmt::format("kept up: matmul {:.0f} TFLOP/s{}, copy {:.2f} TB/s{}", matmul.rate / 1e12,
                       at(matmul_power), copy.rate / 1e12, at(copy_power)));
  return {{"name", gpu_name()},
          {"matmul_flops", bench.matmul},
          {"copy_bytes_per_second", bench.copy},
          {"kept_matmul_flops", matmul.rate},
          {"kept_matmul_power", matmul_power},
          {"kept_copy_bytes_per_second", copy.rate},
          {"kept_copy_power", copy_power},
          {"power_limit_watts", matmul.use.limit_watts},
          {"top_clock_hz", matmul.use.top_clock}};
}

}  // namespace

BenchTable run_gpu_cases(std::span<const GpuCase* const> cases, const BenchOptions& options,
                         const Arguments& arguments) {
  PowerMeter meter(gpu_address());
  Bench bench{options, arguments, make_machine("cuda", options.threads), meter};
  Opponents opponents = start_opponents(cases, options);
  std::vector<const GpuCase*> order(cases.begin(), cases.end());
  const auto together =
      std::stable_partition(order.begin(), order.end(), [](const GpuCase* c) { return !c->alone; });
  std::reverse(order.begin(), together);  // large shapes first, so that their rivals leave first
  prepare(opponents, std::span(order.begin(), together), options, *arguments.out);
  BenchTable table{.machine = measure_ceilings(bench)};
  std::map<const GpuCase*, Json> rows;
  for (size_t i = 0; i < order.size(); ++i) {
    rows[order[i]] = run_gpu_case(*order[i], opponents, bench, table);
    if (i + 1 == order.size() || order[i + 1]->shape != order[i]->shape)
      opponents.erase(order[i]->shape);
  }
  restart_gpu_memory();
  table.head = gpu_head();
  for (const GpuCase* c : cases) {
    table.cases.push_back(rows.at(c));
    if (rows.at(c).contains("error"))
      table.failed = true;
    else
      table.rows.push_back(gpu_table_row(rows.at(c)));
  }
  return table;
}

}  // namespace rung
