// Rung's own side of a GPU case: a population whose step is captured, and rounds of it.
#pragma once
#include "cli/torch/bench.h"
#include "core/power_meter.h"
#include "train/population.h"

namespace rung {

// What all cases share.
struct Bench {
  const BenchOptions& options;
  const Arguments& arguments;
  Machine machine;
  PowerMeter& meter;
  double matmul = 0.0, copy = 0.0;                // measured ceilings, FLOP/s and bytes/s
  double matmul_joules = 0.0, copy_joules = 0.0;  // of a FLOP and a byte, kept up; 0: unknown
};

// Of a round's seconds, as many before them are not timed: clocks and power settle.
inline constexpr double untimed_share = 0.2;

// One side's share of a turn: member-tokens per second, and what the card drew.
struct Round {
  double rate = 0.0;
  PowerUse use;
};

// Our side of a case, captured and ready to be timed.
struct Ours {
  std::unique_ptr<Population> population;
  double build_seconds = 0.0, capture_seconds = 0.0;
  int64_t memory = 0;
};

double tokens_per_step(const GpuCase& c);
// In training, multiply-add = 2.
double flops_of_token(const Ours& ours, const GpuCase& c);

std::unique_ptr<Population> make_ours(const GpuCase& c, const Bench& bench,
                                      std::shared_ptr<const TokenSource> source);
Ours start(const GpuCase& c, const Bench& bench);

// Over about the wanted time. Of another optimizer than AdamW whole tens of steps: SOAP renews its
// bases in each tenth.
Round our_round(const Ours& ours, const GpuCase& c, const Bench& bench);

}  // namespace rung
