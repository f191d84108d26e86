// Frozen tensors in training: no optimizer holds or moves them, and runs resume.
#include "support/populations.h"

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
    Population pair = make_population({other, config}), alone = make_population({config}),
               trained = make_population({all});
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
    check_resumes(doped_config(find_optimizer(name)), 5, 12);
  }
}
