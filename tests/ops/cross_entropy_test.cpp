#include "ops/cross_entropy.h"

#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>

#include <limits>
#include <utility>

#include "ops/cuda/hopper/loss_chunk.h"
#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

struct Case {
  int64_t members, batch, time, width, vocabulary;
  Weight factors;
  LossOptions options;
};

const std::vector<Case> cases{
    {1, 2, 4, 16, 32, {}, {}},
    {2, 1, 5, 7, 11, {}, {.gradient = 0.1}},
    {1, 3, 5, 12, 257, {.A = 0.25, .A_input = 0.25, .A_weight = 0.25}, {.gradient = 1.0 / 15.0}},
    {3,
     2,
     7,
     24,
     50,
     {.A = 0.04, .A_input = 0.3, .A_weight = 0.1},
     {.logit = 1.7, .gradient = 4.0}},
    {2, 3, 9, 8, 40, {}, {.vocabulary = 33}},              // padded rows of the weight
    {2, 3, 9, 8, 19, {}, {.gradient = 0.5, .chunk = 10}},  // ragged chunks
    {2, 2, 5, 9, 21, {.A = 0.5}, {.logit = 1.3, .gradient = 0.2, .cap = 1.7, .chunk = 4}},
    {1, 1, 1, 4, 2, {}, {}},
};

}  // namespace

TEST_CASE("linear_cross_entropy equals its plain twin") {
  for (const Case& c : cases) {
    const int64_t bound = c.options.vocabulary ? c.options.vocabulary : c.vocabulary;
    const Tensor targets = ids({c.members, c.batch, c.time}, bound, 8);
    const auto op = [=](auto function) {
      return
          [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) -> std::vector<Tensor> {
            return {function(x[0], w[0], targets, c.options)};
          };
    };
    check_twin({.name = fmt::format("cross entropy P={} V={} chunk={}", c.members, c.vocabulary,
                                    c.options.chunk),
                .inputs = {normal({c.members, c.batch, c.time, c.width}, 1)},
                .weights = {normal({c.members, c.vocabulary, c.width}, 2)},
                .factors = c.factors,
                .fused = op(linear_cross_entropy),
                .plain = op(linear_cross_entropy_plain),
                .unit_upstream = true});
  }
}

TEST_CASE("the fused loss in fp64 equals its plain twin to rounding") {
  const Tensor targets = ids({2, 2, 5}, 13, 8);
  Twin twin{.name = "fp64",
            .inputs = {normal({2, 2, 5, 6}, 1)},
            .weights = {normal({2, 13, 6}, 2)},
            .factors = {.A = 0.5, .A_input = 0.2, .A_weight = 3.0},
            .fused = [&](const auto& x, const auto& w) -> std::vector<Tensor> {
              return {linear_cross_entropy(x[0], w[0], targets, {.gradient = 0.3, .chunk = 4})};
            },
            .plain = [&](const auto& x, const auto& w) -> std::vector<Tensor> {
              return {linear_cross_entropy_plain(x[0], w[0], targets, {.gradient = 0.3})};
            },
            .unit_upstream = true};
  const auto got = run(twin, twin.fused, at::kDouble), want = run(twin, twin.plain, at::kDouble);
  for (size_t i = 0; i < got.size(); ++i) CHECK(distance(got[i], want[i]) < 1e-13);
}

TEST_CASE("equal logits cost ln V; huge logits stay finite; NaN reaches the loss") {
  const Tensor targets = ids({1, 1, 3}, 20, 1);
  const Weight weight{.value = at::zeros({1, 20, 8}), .gradient = {}};
  const Tensor x = normal({1, 1, 3, 8}, 2).to(at::kFloat);
  CHECK(distance(linear_cross_entropy(x, weight, targets, {}),
                 at::full({1, 1, 3}, std::log(20.0))) < 1e-6);
  const Weight large{.value = normal({1, 20, 8}, 3).to(at::kFloat) * 1e4, .gradient = {}};
  CHECK(linear_cross_entropy(x, large, targets, {}).isfinite().all().item<bool>());
  for (const int64_t row : {0, 7, 15, 19}) {
    CAPTURE(row);
    Tensor value = normal({1, 20, 8}, 3).to(at::kFloat);
    value[0][row][0] = std::numeric_limits<float>::quiet_NaN();
    const Tensor loss = linear_cross_entropy(x, {.value = value, .gradient = {}}, targets, {});
    CHECK_FALSE(loss.isfinite().any().item<bool>());
  }
}

TEST_CASE("a tap on the readout keeps logits and gradients of all chunks at once") {
  Taps taps;
  const Tensor x = normal({1, 2, 5, 4}, 1).requires_grad_(), map = normal({1, 6, 4}, 2);
  const Tensor targets = ids({1, 2, 5}, 6, 3);
  linear_cross_entropy(x, {.value = map, .A = 0.5, .A_input = 0.25, .taps = &taps}, targets,
                       {.logit = 2.0, .gradient = 0.1, .chunk = 3})
      .sum()
      .backward();
  REQUIRE(taps.size() == 1);
  const Tensor logits = at::matmul(x.detach().view({1, 10, 4}), map.mT());
  CHECK(distance(taps[0].output, logits) < 1e-6);
  const Tensor gradient =
      at::softmax(logits, -1)
          .scatter_add(-1, targets.view({1, 10, 1}), at::full({1, 10, 1}, -1.0, logits.options()));
  CHECK(distance(taps[0].output_gradient, gradient * 0.1) < 1e-6);
  CHECK(distance(taps[0].input_gradient.view(x.sizes()), x.grad()) == 0.0);
}

TEST_CASE("exponentials are held of whole members where these are few enough, else of rows") {
  const auto chunk = [](int64_t members, int64_t rows, int64_t vocabulary) {
    const cuda::LossChunk c = cuda::loss_chunk(members, rows, vocabulary);
    return std::pair{c.members, c.rows};
  };
  CHECK(chunk(32, 16384, 8192) == std::pair<int64_t, int64_t>{8, 16384});
  CHECK(chunk(10, 16384, 20000) == std::pair<int64_t, int64_t>{3, 16384});  // 3, 3, 3 and 1
  CHECK(chunk(9, 16384, 8192) == std::pair<int64_t, int64_t>{5, 16384});    // 5 and 4
  CHECK(chunk(3, 40000, 32768) == std::pair<int64_t, int64_t>{1, 20000});
  CHECK(chunk(1, 16384, 8192) == std::pair<int64_t, int64_t>{1, 16384});
}

TEST_CASE("logits on a GPU are held of rows cut evenly, in whole tiles") {
  CHECK(gpu_logit_rows(1, 16384, 32768) == 4096);  // 1.16B: four chunks
  CHECK(gpu_logit_rows(1, 16384, 8192) == 16384);
  CHECK(gpu_logit_rows(1, 10000, 32768) == 3456);  // 3,456, 3,456 and 3,088
  CHECK(gpu_logit_rows(1, 7, 32768) == 7);
  CHECK(gpu_logit_rows(64, 4096, 32768) == 128);
}
