// What a run holds on its device, counted from shapes before anything is allocated, and how much of
// a population and of its batch a budget has room for.
#pragma once
#include "train/population.h"

namespace rung {

// Bytes at the moment when most is in use.
struct MemoryPlan {
  int64_t members = 1;    // of a population
  int64_t sequences = 1;  // of each member in one pass: a micro-batch, or a shard on the CPU
  double weights = 0.0;   // masters, and what is multiplied by where that is another type
  double gradients = 0.0;
  double optimizer = 0.0;   // its states
  double pass = 0.0;        // activations, logits and gradients of them
  double evaluation = 0.0;  // of an evaluation, likewise
  double other = 0.0;       // token windows, losses, libraries' workspaces
  bool cuda = false;
  bool counted = true;  // false: some part keeps more than is known of, `pass` is a guess

  double state() const { return weights + gradients + optimizer + other; }
  // What tensors take at most.
  double total() const { return state() + (pass > evaluation ? pass : evaluation); }
  // What the allocator holds for them: a captured step keeps its memory while others evaluate, and
  // a tenth or so is lost between blocks of different sizes.
  double held() const { return cuda ? state() + 1.1 * (pass + evaluation) : total(); }
};

// `sequences` 0: the whole batch on a GPU. `threads` counts on the CPU alone.
MemoryPlan plan_memory(const Decoder& decoder, const RunConfig& config, int64_t members,
                       int64_t sequences, int threads);

// The largest micro-batch, a whole fraction of the batch, that is held within `budget`, or one
// sequence where none does. On the CPU shards are what they are.
MemoryPlan fit_batch(const Decoder& decoder, const RunConfig& config, int64_t members,
                     double budget, int threads);

// The most members, up to `members`, that train at once within `budget`; at least one.
int64_t fit_members(const Decoder& decoder, const RunConfig& config, int64_t members, double budget,
                    int threads);

// Windows of every member that a GPU evaluates at a time: as many as hold a quarter of what the
// training pass does, or little.
int64_t evaluated_windows(const Decoder& decoder, const RunConfig& config, int64_t members,
                          int64_t sequences, int64_t context);

// train.memory, or where it is 0 a share of the GPU; 0: no limit.
double memory_budget(const RunConfig& config);

// How the CPU cuts a batch: sequences of a shard, shards, and how many sums of gradients a member
// keeps. They depend on shapes alone.
struct Shards {
  int64_t sequences = 1, count = 1, lanes = 1;
};
Shards shards_of(int64_t context, int64_t batch_sequences);

}  // namespace rung
