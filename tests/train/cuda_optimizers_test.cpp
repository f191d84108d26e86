// Every optimizer in the captured step: fp32 on the GPU against the CPU, bf16 against fp32, the
// same bits twice, evaluation at an average, frozen layers and a resumed run.
#ifdef RUNG_CUDA
#include "support/gpu_runs.h"

using namespace rung;
using namespace rung::test;

namespace {

RunConfig config_of(const Optimizer& optimizer, const char* precision = "fp32") {
  RunConfig config = small_config(precision);
  config.train.optimizer = optimizer.name;
  if (optimizer.constant_rate) config.train.schedule = "constant";
  const std::string name(optimizer.name);
  config.train.lr = name.ends_with("sgd")                 ? 0.3
                    : name == "muon" || name == "shampoo" ? 0.02
                    : name == "schedule-free-adamw"       ? 0.02
                                                          : 0.005;
  return config;
}

// SOAP's factors are nearly singular, so that rounding chooses a part of its first basis.
double tolerance_of(const Optimizer& optimizer) {
  return optimizer.name == "soap" ? 2e-2 : 2e-3;
}

}  // namespace

// Muon orthogonalises in bf16 where training computes in it. SOAP's step runs behind the graph.
TEST_CASE("every optimizer trains on the GPU as on the CPU, and the same bits twice") {
  if (no_gpu()) return;
  for (const Optimizer& optimizer : optimizers()) {
    CAPTURE(std::string(optimizer.name));
    Population host = make(members(config_of(optimizer), 2), "cpu");
    Population device = make(members(config_of(optimizer), 2), "cuda");
    Population half = make(members(config_of(optimizer, "bf16"), 2), "cuda");
    Population again = make(members(config_of(optimizer, "bf16"), 2), "cuda");
    const auto want = curve(host, 20), got = curve(device, 20), near = curve(half, 20);
    for (int i = 0; i < 20; ++i) again.advance();
    again.sync();
    CHECK(worst_difference(got, want) < tolerance_of(optimizer));
    CHECK(worst_difference(near, want) < 0.03);
    CHECK(want.back()[0] < want.front()[0]);
    CHECK(same_bits(half.weights, again.weights));
    const HeldOut held = ChainSource(24).held_out(32, 3200);
    const auto a = host.evaluate(held), b = device.evaluate(held), c = half.evaluate(held);
    for (size_t m = 0; m < 2; ++m) {
      CHECK(std::abs(a[m].loss - b[m].loss) < tolerance_of(optimizer) * a[m].loss);
      CHECK(std::abs(a[m].loss - c[m].loss) < 0.03 * a[m].loss);
    }
    // Where evaluation is at an average, training goes on where it was.
    half.advance();
    again.advance();
    half.sync();
    again.sync();
    CHECK(same_bits(half.weights, again.weights));
  }
}

TEST_CASE("no optimizer moves a frozen tensor on the GPU") {
  if (no_gpu()) return;
  for (const Optimizer& optimizer : optimizers()) {
    CAPTURE(std::string(optimizer.name));
    RunConfig config = config_of(optimizer);
    config.model.frozen = "none, block";
    Population host = make(members(config, 2), "cpu"), device = make(members(config, 2), "cuda");
    const Tensor start = device.weights.clone();
    const auto want = curve(host, 6), got = curve(device, 6);
    CHECK(worst_difference(got, want) < tolerance_of(optimizer));
    const Layout& layout = device.decoder.layout;
    for (size_t i = 0; i < layout.tensors.size(); ++i) {
      CAPTURE(layout.tensors[i].name);
      CHECK(same_bits(view(layout, device.weights, i), view(layout, start, i)) ==
            layout.tensors[i].frozen);
    }
  }
}

TEST_CASE("a diverging member leaves its neighbours' bits alone under every optimizer on the GPU") {
  if (no_gpu()) return;
  for (const Optimizer& optimizer : optimizers()) {
    CAPTURE(std::string(optimizer.name));
    Population pair = make(members(config_of(optimizer), 2), "cuda");
    Population other = make(members(config_of(optimizer), 2), "cuda");
    for (int i = 0; i < 3; ++i) pair.advance(), other.advance();
    pair.sync();
    other.sync();
    other.weights.select(0, 0).fill_(std::nan(""));
    for (int i = 0; i < 5; ++i) pair.advance(), other.advance();
    pair.sync();
    other.sync();
    CHECK(other.states[0].status == MemberStatus::diverged);
    CHECK(other.states[1].status == MemberStatus::running);
    CHECK(same_bits(pair.weights[1], other.weights[1]));
  }
}
#endif
