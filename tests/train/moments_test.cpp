// Populations whose optimizer keeps its moments in bf16 or FP8: company changes no bit, a resumed
// run goes on bit for bit from moments of their own type, and runs end where fp32's do.
#include "core/error.h"
#include "core/safetensors.h"
#include "support/populations.h"

using namespace rung;
using namespace rung::test;

namespace {

RunConfig config_for(const std::string& moments, const char* optimizer = "adamw") {
  RunConfig config = tiny_config();
  config.train.optimizer = optimizer;
  config.train.moments = moments;
  config.train.lr = 0.02;
  config.train.weight_decay = 1e-4;
  config.train.tokens = 72 * 60;
  return config;
}

bool same_state(const Population& a, int64_t m, const Population& b, int64_t n) {
  for (const auto& [name, state] : a.optimizer_state) {
    const auto bytes = [](const Tensor& t) { return t.contiguous().view(at::kByte); };
    if (!same_bits(bytes(state[m]), bytes(b.optimizer_state.at(name)[n]))) return false;
  }
  return same_bits(a.weights[m], b.weights[n]);
}

}  // namespace

TEST_CASE("small moments: alone as in company, and as good as fp32's") {
  const HeldOut held = ChainSource().held_out(18, 720);
  for (const char* optimizer : {"adamw", "adam-atan2", "adam-scaled"})
    for (const char* moments : {"bf16", "fp8"}) {
      CAPTURE(optimizer);
      CAPTURE(moments);
      const RunConfig config = config_for(moments, optimizer);
      RunConfig other = config;
      other.seed = 8;
      other.train.lr *= 0.5;
      Population pair = make_population({other, config}), alone = make_population({config});
      Population wide = make_population({config_for("fp32", optimizer)});
      const double before = alone.evaluate(held)[0].loss;
      advance(pair, 60);
      advance(alone, 60);
      advance(wide, 60);
      CHECK(same_state(pair, 1, alone, 0));
      const double loss = alone.evaluate(held)[0].loss, want = wide.evaluate(held)[0].loss;
      CHECK(loss < before - 0.3);
      CHECK(std::abs(loss - want) < 0.1);
      CHECK(loss != want);
    }
}

TEST_CASE("small moments: a resumed run goes on bit for bit from what the file holds") {
  for (const char* moments : {"bf16", "fp8"}) {
    CAPTURE(moments);
    const TemporaryFolder folder;
    Population straight = make_population({config_for(moments)}),
               first = make_population({config_for(moments)});
    advance(straight, 30);
    advance(first, 13);
    save_checkpoint(first, folder.path, {});
    const Safetensors saved(checkpoint_path(folder.path, 13) / "optimizer.safetensors");
    const bool fp8 = std::string(moments) == "fp8";
    CHECK(saved.at("exp_avg").dtype == (fp8 ? "F8_E4M3" : "BF16"));
    CHECK(saved.at("exp_avg_sq").dtype == "BF16");
    CHECK(saved.blocks().size() == (fp8 ? 3 : 2));
    Population second = make_population({config_for(moments)});
    load_checkpoint(second, checkpoint_path(folder.path, 13));
    CHECK(same_state(second, 0, first, 0));
    advance(second, 17);
    CHECK(same_state(second, 0, straight, 0));
    Population wide = make_population({config_for("fp32")});
    CHECK_THROWS_WITH_AS(load_checkpoint(wide, checkpoint_path(folder.path, 13)),
                         doctest::Contains("train.moments"), Error);
  }
}

TEST_CASE("small moments: draws are of the seed, and rounding to the nearest draws nothing") {
  RunConfig config = config_for("bf16");
  Population drawn = make_population({config});
  config.train.moments_rounding = "nearest";
  Population near = make_population({config}), again = make_population({config});
  advance(drawn, 5), advance(near, 5), advance(again, 5);
  CHECK(same_state(near, 0, again, 0));
  CHECK_FALSE(same_bits(near.weights, drawn.weights));
  CHECK(distance(near.weights, drawn.weights) < 0.01);
}

TEST_CASE("small moments: an optimizer with another state refuses them by name") {
  CHECK_THROWS_WITH_AS(make_population({config_for("fp8", "muon")}),
                       doctest::Contains("muon keeps its state in fp32"), Error);
}
