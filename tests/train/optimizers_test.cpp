// Every optimizer of the table in a population: company changes nothing, a resumed run goes on bit
// for bit, and averages are what is evaluated and saved.
#include "core/error.h"
#include "core/safetensors.h"
#include "support/populations.h"

using namespace rung;
using namespace rung::test;

namespace {

RunConfig config_for(const Optimizer& optimizer) {
  RunConfig config = tiny_config();
  config.train.optimizer = optimizer.name;
  config.train.lr = optimizer.name == "schedule-free-sgd" ? 0.5 : 0.02;
  config.train.weight_decay = 1e-4;
  config.train.tokens = 72 * 60;
  if (optimizer.constant_rate) config.train.schedule = "constant";
  return config;
}

}  // namespace

TEST_CASE("every optimizer learns the chain, alone as in company") {
  const HeldOut held = ChainSource().held_out(18, 720);
  for (const Optimizer& optimizer : optimizers()) {
    CAPTURE(optimizer.name);
    const RunConfig config = config_for(optimizer);
    RunConfig other = config;
    other.seed = 8;
    other.train.lr *= 0.5;
    Population pair = make_population({other, config}), alone = make_population({config});
    const double before = alone.evaluate(held)[0].loss;
    advance(pair, 60);
    advance(alone, 60);
    CHECK(same_bits(pair.weights[1], alone.weights[0]));
    for (const auto& [name, state] : alone.optimizer_state)
      CHECK(same_bits(pair.optimizer_state.at(name)[1], state[0]));
    CHECK(alone.evaluate(held)[0].loss < before - 0.3);
  }
}

TEST_CASE("the optimizers whose exponents are known are those that there are") {
  const std::string error = error_of([] { update_of("momentumless"); });
  const std::string known = error.substr(error.find("Known are "));
  CHECK(std::count(known.begin(), known.end(), ',') + 1 ==
        static_cast<std::ptrdiff_t>(optimizers().size()));
  for (const Optimizer& optimizer : optimizers())
    CHECK_MESSAGE(known.find(optimizer.name) != std::string::npos, optimizer.name);
}

TEST_CASE("every optimizer resumes from its checkpoint bit for bit") {
  for (const Optimizer& optimizer : optimizers()) {
    CAPTURE(optimizer.name);
    check_resumes(config_for(optimizer), 13, 30);
  }
}

TEST_CASE("where an optimizer averages, the average is evaluated and saved, and training goes on") {
  const HeldOut held = ChainSource().held_out(18, 720);
  for (const Optimizer& optimizer : optimizers()) {
    if (!optimizer.eval_weights) continue;
    CAPTURE(optimizer.name);
    const TemporaryFolder folder;
    Population p = make_population({config_for(optimizer)}),
               undisturbed = make_population({config_for(optimizer)});
    CHECK(same_bits(p.eval_weights(), p.weights));  // before the first step
    advance(p, 40);
    const Tensor average = p.eval_weights();
    CHECK(distance(average, p.weights) > 1e-4);
    const double loss = p.evaluate(held)[0].loss;
    save_checkpoint(p, folder.path, {});
    const Safetensors saved(checkpoint_path(folder.path, 40) / "weights.safetensors");
    const Layout& layout = p.decoder.layout;
    for (size_t i = 0; i < layout.tensors.size(); ++i) {
      const TensorBlock& block = saved.at(layout.tensors[i].name);
      const Tensor want = view(layout, average, i).contiguous();
      CHECK(std::memcmp(block.bytes.data(), want.const_data_ptr(), want.nbytes()) == 0);
    }
    // The average is better than the point where gradients are taken, and what was evaluated.
    Population raw = make_population({config_for(optimizer)});
    raw.weights.copy_(average);
    CHECK(raw.evaluate(held)[0].loss == loss);
    raw.weights.copy_(p.weights);
    CHECK(raw.evaluate(held)[0].loss > loss);
    advance(p, 5);
    advance(undisturbed, 45);
    CHECK(same_bits(p.weights, undisturbed.weights));
  }
}

TEST_CASE("an optimizer that averages takes no cooldown") {
  RunConfig config = config_for(find_optimizer("schedule-free-adamw"));
  config.train.schedule = "linear";
  CHECK_THROWS_WITH_AS(make_population({config}), doctest::Contains("train.schedule=constant"),
                       Error);
}
