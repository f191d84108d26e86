// Populations on the CPU that learn ChainSource's language, and what is asked of them everywhere.
#pragma once
#include "support/configs.h"
#include "support/twins.h"
#include "temporary.h"
#include "train/checkpoint.h"
#include "train/population.h"

namespace rung::test {

inline Population make_population(std::vector<RunConfig> configs, int threads = 2) {
  return Population(std::move(configs), std::make_shared<ChainSource>(),
                    make_machine("cpu", threads));
}

inline void advance(Population& p, int64_t steps) {
  for (int64_t i = 0; i < steps; ++i) p.advance();
}

// A run that is saved at a step and goes on from there ends with the bits of an undisturbed one.
inline void check_resumes(const RunConfig& config, int64_t saved_at, int64_t steps) {
  const HeldOut held = ChainSource().held_out(config.model.context, 720);
  const TemporaryFolder folder;
  Population straight = make_population({config}), first = make_population({config});
  advance(straight, steps);
  advance(first, saved_at);
  save_checkpoint(first, folder.path, {});
  Population second = make_population({config});
  load_checkpoint(second, checkpoint_path(folder.path, saved_at));
  CHECK(same_bits(second.weights, first.weights));
  advance(second, steps - saved_at);
  CHECK(same_bits(second.weights, straight.weights));
  CHECK(second.evaluate(held)[0].loss == straight.evaluate(held)[0].loss);
}

}  // namespace rung::test
