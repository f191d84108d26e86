// Gradients that products leave alone: which they are, and what rounding them to bf16 does to a run
// on the CPU.
#include "train/product_gradients.h"

#include "support/configs.h"
#include "support/twins.h"
#include "train/memory.h"
#include "train/population.h"

using namespace rung;
using namespace rung::test;

namespace {

RunConfig wide_config(const char* gradients) {
  RunConfig config = tiny_config();
  config.model.width = 160;
  config.model.head_dim = 40;
  config.model.norm_gain = true;
  config.train.gradients = gradients;
  return config;
}

Population make(const RunConfig& config) {
  return Population({config}, std::make_shared<ChainSource>(), make_machine("cpu", 2));
}

bool in_bf16(const Tensor& t) {
  return same_bits(t, t.to(at::kBFloat16).to(t.scalar_type()));
}

}  // namespace

TEST_CASE("gradients that no step clears are those of maps, and the others' lie between them") {
  const RunConfig config = wide_config("fp32");
  const Decoder d = make_decoder(config, 24);
  const std::vector<size_t> first = written_first(d);
  CHECK_FALSE(first.empty());
  std::vector<int> covered(static_cast<size_t>(d.layout.stride), 0);
  for (const size_t t : first)
    for (int64_t i = 0; i < d.layout.tensors[t].size(); ++i)
      ++covered[static_cast<size_t>(d.layout.offsets[t] + i)];
  for (const auto& [begin, count] : all_but(d.layout, d.layout.offsets, first))
    for (int64_t i = begin; i < begin + count; ++i) ++covered[static_cast<size_t>(i)];
  for (size_t t = 0; t < d.layout.tensors.size(); ++t)
    for (int64_t i = 0; i < d.layout.tensors[t].size(); ++i)
      REQUIRE(covered[static_cast<size_t>(d.layout.offsets[t] + i)] == 1);
  RunConfig narrow = config;
  narrow.model.width = 128;
  narrow.model.head_dim = 32;
  CHECK(written_first(make_decoder(narrow, 24)) == first);
  narrow.train.gradients = "bf16";
  CHECK(half_gradients(make_decoder(narrow, 24), narrow).empty());
  narrow.model.width = 64;
  CHECK(written_first(make_decoder(narrow, 24)).empty());
}

TEST_CASE("gradients in bf16 are those of blocks' maps, without the readout's") {
  const RunConfig config = wide_config("bf16");
  const Decoder d = make_decoder(config, 24);
  const std::vector<size_t> half = half_gradients(d, config);
  CHECK(half.size() + 1 == written_first(d).size());
  for (const size_t i : half) CHECK(d.layout.tensors[i].role == Role::hidden);
  CHECK(half_gradients(d, wide_config("fp32")).empty());
  const auto gradients = [&](const char* kind, int64_t sequences) {
    RunConfig planned = wide_config(kind);
    planned.device = "cuda";
    return plan_memory(d, planned, 1, sequences, 1).gradients;
  };
  double saved = 0.0;
  for (const size_t i : half) saved += 2.0 * static_cast<double>(d.layout.tensors[i].size());
  const int64_t batch = config.train.batch_tokens / config.model.context;
  CHECK(gradients("fp32", batch) - gradients("bf16", batch) == saved);
  CHECK(gradients("fp32", 1) == gradients("bf16", 1));  // sums of several passes
}

TEST_CASE("gradients in bf16: a step on the CPU rounds those of maps alone") {
  RunConfig whole = wide_config("fp32"), rounded = wide_config("bf16");
  whole.train.beta1 = rounded.train.beta1 = 0.0;  // so that the first moment is the gradient
  Population wide = make(whole), half = make(rounded);
  wide.advance(), half.advance();
  const std::vector<size_t> listed = half_gradients(half.decoder, half.states[0].config);
  const Tensor first = half.optimizer_state.at("exp_avg"),
               exact = wide.optimizer_state.at("exp_avg");
  for (size_t i = 0; i < half.trained.tensors.size(); ++i) {
    const Tensor got = flat_part(half.trained, first, i), want = flat_part(half.trained, exact, i);
    if (std::find(listed.begin(), listed.end(), i) != listed.end()) {
      CHECK(in_bf16(got));
      CHECK_FALSE(in_bf16(want));
      CHECK(distance(got, want) < 0.004);
    } else {
      CHECK(same_bits(got, want));
    }
  }
  CHECK(half.states[0].gradient_norm != wide.states[0].gradient_norm);
  CHECK(half.states[0].gradient_norm ==
        doctest::Approx(first.to(at::kDouble).square().sum().sqrt().item<double>()).epsilon(1e-5));
}

TEST_CASE("gradients in bf16: a run on the CPU ends where that in fp32 does") {
  Population wide = make(wide_config("fp32")), half = make(wide_config("bf16"));
  wide.advance(), half.advance();
  const double before = wide.states[0].loss;
  for (int i = 0; i < 30; ++i) wide.advance(), half.advance();
  CHECK(wide.states[0].loss < 0.9 * before);
  CHECK(half.states[0].loss == doctest::Approx(wide.states[0].loss).epsilon(0.02));
  CHECK(half.states[0].loss != wide.states[0].loss);
}
