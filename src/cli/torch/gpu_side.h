// Rung's own side of a GPU case: a population whose step is captured, and rounds of it.
#pragma once
#include "cli/torch/bench.h"
#include "train/population.h"

namespace rung {

// What all cases share.
struct Bench {
  const BenchOptions& options;
  const Arguments& arguments;
  Machine machine;
  double matmul = 0.0, copy = 0.0;  // measured ceilings, FLOP/s and bytes/s
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

// Member-tokens per second over about the wanted time, after a fifth of it untimed. Of another
// optimizer than AdamW whole tens of steps: SOAP renews its bases in each tenth.
double our_round(const Ours& ours, const GpuCase& c, const Bench& bench);

}  // namespace rung
