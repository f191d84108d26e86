// Frozen tensors in training: no optimizer holds or moves them, and runs resume.
#include "support/configs.h"
#include "support/twins.h"
#include "temporary.h"
#include "train/checkpoint.h"
#include "train/population.h"

using namespace rung;
using namespace rung::test;

namespace {

RunConfig doped_config(const Optimizer& optimizer) {
  RunConfig config = tiny_config();
  config.model.frozen = "none, block";
  config.train.optimizer = optimizer.name;
  config.train.weight_decay = 1e-3;
  if (optimizer.constant_rate) config.train.schedule = "constant";
  return config;
}

Population make(std::vector<RunConfig> configs) {
  return Population(std::move(configs), std::make_shared<ChainSource>(), make_machine("cpu", 2));
}

void advance(Population& p, int64_t steps) {
  for (int64_t i = 0; i < steps; ++i) p.advance();
}

int64_t state_size(const Population& p) {
  int64_t size = 0;
  for (const auto& [name, state] : p.optimizer_state) size += state.numel();
  return size;
}

}  // namespace

TEST_CASE("no optimizer moves a frozen tensor or keeps a state for it, alone or in company") {
  for (const Optimizer& optimizer : optimizers()) {
    CAPTURE(optimizer.name);
    const RunConfig config = doped_config(optimizer);
    RunConfig other = config, all = config;
    other.seed = 9;
    all.model.frozen.clear();
    Population pair = make({other, config}), alone = make({config}), trained = make({all});
    const Tensor start = alone.weights.clone();
    advance(pair, 6);
    advance(alone, 6);
    CHECK(same_bits(pair.weights[1], alone.weights[0]));
    CHECK(state_size(alone) < state_size(trained));
    const Layout& layout = alone.decoder.layout;
    for (size_t i = 0; i < layout.tensors.size(); ++i) {
      CAPTURE(layout.tensors[i].name);
      for (const Tensor& weights : {alone.weights, alone.eval_weights()})
        CHECK(same_bits(view(layout, weights, i), view(layout, start, i)) ==
              layout.tensors[i].frozen);
    }
  }
}

TEST_CASE("a doped run resumes bit for bit") {
  for (const char* name : {"adamw", "schedule-free-adamw", "soap"}) {
    CAPTURE(name);
    const RunConfig config = doped_config(find_optimizer(name));
    const TemporaryFolder folder;
    Population straight = make({config}), first = make({config});
    advance(straight, 12);
    advance(first, 5);
    save_checkpoint(first, folder.path, {});
    Population second = make({config});
    load_checkpoint(second, checkpoint_path(folder.path, 5));
    advance(second, 7);
    CHECK(same_bits(second.weights, straight.weights));
  }
}
