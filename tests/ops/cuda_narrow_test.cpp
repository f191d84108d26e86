// The kernels of narrow bf16 models against their plain twins in fp64 on the CPU: ffns, maps behind
// norms, and losses without logits. In fp32, and at widths without a kernel, the same ops go the
// plain way.
#ifdef RUNG_CUDA
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "ops/cross_entropy.h"
#include "ops/mlp.h"
#include "ops/norm.h"
#include "ops/norm_linear.h"
#include "support/on_gpu.h"

using namespace rung;
using namespace rung::test;

namespace {

// An ffn alone (inputs 0), or its step of a stream from x (1), from x and f (2), or from x and f
// that is still to be mapped (3), and with the next norm and map behind it (4), or the norm (5).
Twin ffn_twin(Activation kind, std::vector<int64_t> shape, int64_t inner, int inputs) {
  const ActivationOptions factors{.slope = 1.3, .forward = 1.7, .backward = 0.6};
  const ResidualStep step{
      .norm = {.skip = 0.8, .branch = 0.6, .branch_gradient = 0.5, .input_gradient = 0.7},
      .skip = 0.9,
      .branch = 0.4,
      .branch_gradient = 1.2};
  const int64_t rows = kind == Activation::swiglu || kind == Activation::geglu ? 2 : 1;
  const auto op = [=](auto alone, auto around) {
    return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) -> std::vector<Tensor> {
      const Mlp m{.kind = kind, .activation = factors, .first = w[0], .second = w[1]};
      if (inputs == 0) return {alone(x[0], m)};
      ResidualStep own = step;
      if (inputs >= 3) own.map = w[2];
      if (inputs == 4) own.next = w[3];
      if (inputs >= 4) own.next_norm = {.input_gradient = 0.7}, own.next_alone = inputs == 5;
      const Stepped out = around(x[0], inputs >= 2 ? x[1] : Tensor(), m, own);
      if (inputs < 4) return {out.stream};
      REQUIRE(out.mapped.defined());
      return {out.stream, out.mapped};
    };
  };
  Twin twin{.name = fmt::format("ffn {} P={} T={} D={} F={} inputs={}", static_cast<int>(kind),
                                shape[0], shape[2], shape[3], inner, inputs),
            .inputs = {normal(shape, 1)},
            .weights = {normal({shape[0], rows * inner, shape[3]}, 3) * 0.2,
                        normal({shape[0], shape[3], inner}, 4) * 0.1},
            .factors = {.A = 0.5, .A_input = 0.25, .A_weight = 2.0},
            .fused = op(mlp, mlp_step),
            .plain = op(mlp_plain, mlp_step_plain)};
  if (inputs >= 2) twin.inputs.push_back(normal(shape, 2));
  if (inputs >= 3) twin.weights.push_back(normal({shape[0], shape[3], shape[3]}, 5) * 0.2);
  if (inputs == 4) twin.weights.push_back(normal({shape[0], 3 * shape[3], shape[3]}, 6) * 0.2);
  return twin;
}

}  // namespace

TEST_CASE("ffns on the GPU equal their twins, with and without the stream around them") {
  if (no_gpu()) return;
  for (const Activation kind :
       {Activation::swiglu, Activation::geglu, Activation::gelu, Activation::relu2})
    for (const int inputs : {0, 1, 2})
      check_on_gpu(ffn_twin(kind, {2, 2, 37, 64}, 72, inputs), 1e-2);
  for (const int inputs : {0, 2, 3}) {
    check_on_gpu(ffn_twin(Activation::swiglu, {3, 2, 37, 64}, 192, inputs), 1e-2);
    check_on_gpu(ffn_twin(Activation::swiglu, {2, 2, 33, 48}, 144, inputs), 1e-2);  // no kernel
    check_on_gpu(ffn_twin(Activation::swiglu, {1, 2, 1, 32}, 40, inputs), 1e-2);
  }
  // Width 128: matrices that pass by in slices, the last one partly filled.
  for (const Activation kind :
       {Activation::swiglu, Activation::geglu, Activation::gelu, Activation::relu2})
    for (const int inputs : {0, 1, 2})
      check_on_gpu(ffn_twin(kind, {2, 2, 37, 128}, 136, inputs), 1e-2);
  check_on_gpu(ffn_twin(Activation::swiglu, {70, 2, 77, 128}, 384, 2), 1e-2);
  // With the next norm and map, or the norm alone.
  for (const Activation kind : {Activation::swiglu, Activation::gelu})
    for (const int64_t inner : {64, 384})
      for (const int inputs : {4, 5})
        check_on_gpu(ffn_twin(kind, {2, 2, 77, 128}, inner, inputs), 1e-2);
  for (const int inputs : {4, 5})
    check_on_gpu(ffn_twin(Activation::geglu, {1, 2, 31, 128}, 1000, inputs), 1e-2);
  // Rows for a block on more than half of the multiprocessors; slices that take others' places.
  check_on_gpu(ffn_twin(Activation::swiglu, {30, 2, 77, 128}, 200, 3), 1e-2);
  check_on_gpu(ffn_twin(Activation::gelu, {30, 2, 77, 128}, 136, 2), 1e-2);
  check_on_gpu(ffn_twin(Activation::swiglu, {2, 2, 77, 128}, 1000, 3), 1e-2);
  check_on_gpu(ffn_twin(Activation::relu2, {2, 2, 77, 128}, 1000, 3), 1e-2);
  // Many members.
  check_on_gpu(ffn_twin(Activation::swiglu, {140, 2, 140, 128}, 136, 3), 1e-2);
  check_on_gpu(ffn_twin(Activation::swiglu, {140, 2, 97, 128}, 72, 2), 1e-2);
  check_on_gpu(ffn_twin(Activation::swiglu, {270, 2, 30, 128}, 104, 3), 1e-2);
  check_on_gpu(ffn_twin(Activation::geglu, {140, 2, 97, 128}, 40, 1), 1e-2);
  check_on_gpu(ffn_twin(Activation::gelu, {270, 2, 35, 128}, 72, 3), 1e-2);
  // A map of f before it.
  for (const int64_t inner : {64, 136, 384})
    check_on_gpu(ffn_twin(Activation::swiglu, {2, 2, 77, 128}, inner, 3), 1e-2);
  check_on_gpu(ffn_twin(Activation::gelu, {70, 2, 77, 128}, 200, 3), 1e-2);
  check_on_gpu(ffn_twin(Activation::swiglu, {1, 2, 2200, 64}, 192, 3), 1e-2);
  check_on_gpu(ffn_twin(Activation::swiglu, {40, 2, 140, 64}, 192, 3), 1e-2);
  check_on_gpu(ffn_twin(Activation::gelu, {1, 2, 1100, 64}, 192, 3), 1e-2);
  check_on_gpu(ffn_twin(Activation::swiglu, {1, 2, 3300, 64}, 192, 3), 1e-2);
  // Rows enough for warpgroups of 64 on every multiprocessor: a last tile that is partly filled,
  // more tiles than warpgroups, and fewer.
  for (const Activation kind :
       {Activation::swiglu, Activation::geglu, Activation::gelu, Activation::relu2})
    for (const int inputs : {1, 2, 3})
      check_on_gpu(ffn_twin(kind, {5, 2, 3521, 64}, inputs == 2 ? 72 : 136, inputs), 1e-2);
  check_on_gpu(ffn_twin(Activation::swiglu, {1, 2, 18000, 64}, 192, 3), 1e-2);
  check_on_gpu(ffn_twin(Activation::swiglu, {300, 2, 60, 64}, 192, 3), 1e-2);
  // Many blocks a member, and several tiles of rows a block.
  check_on_gpu(ffn_twin(Activation::swiglu, {1, 2, 2200, 64}, 192, 2), 1e-2);
  check_on_gpu(ffn_twin(Activation::swiglu, {140, 2, 140, 32}, 40, 2), 1e-2);
}

TEST_CASE("maps behind norms on the GPU equal their twins") {
  if (no_gpu()) return;
  struct Case {
    int64_t members, time, width, out;
  };
  for (const Case& c : std::vector<Case>{{3, 37, 64, 192},
                                         {140, 110, 64, 128},
                                         {5, 3521, 64, 144},
                                         {300, 60, 64, 192},
                                         {2, 70, 32, 96},
                                         {2, 33, 48, 144},
                                         {2, 77, 128, 384},
                                         {2, 77, 128, 1000},
                                         {30, 77, 128, 200},
                                         {70, 77, 128, 200},
                                         {1, 20, 128, 200},
                                         {1, 1, 32, 16}})
    for (const bool handed : {true, false}) {
      const auto op = [=](auto function) {
        return
            [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) -> std::vector<Tensor> {
              const auto [h, y] = function(x[0], w[0], NormOptions{.input_gradient = 0.7});
              if (handed) return {h, y};
              return {y};
            };
      };
      check_on_gpu({.name = fmt::format("norm and map P={} T={} D={} out={} handed={}", c.members,
                                        c.time, c.width, c.out, handed),
                    .inputs = {normal({c.members, 2, c.time, c.width}, 1)},
                    .weights = {normal({c.members, c.out, c.width}, 3) * 0.2},
                    .factors = {.A = 0.5, .A_input = 0.25, .A_weight = 2.0},
                    .fused = op(norm_linear),
                    .plain = op(norm_linear_plain)},
                   1e-2);
    }
}

TEST_CASE("losses without logits in memory equal their twin") {
  if (no_gpu()) return;
  struct Case {
    int64_t members, time, width, vocabulary;
    double size = 1.0;  // of the logits, about
    double cap = 0.0;
    int64_t padded = 0;  // rows of the weight beyond the vocabulary
  };
  for (const Case& c : std::vector<Case>{{1, 35, 64, 4096},
                                         {3, 35, 64, 1000},
                                         {2, 300, 64, 259, 3.0},
                                         {2, 70, 64, 2000, 60.0},
                                         {33, 70, 64, 500},
                                         {1, 200, 128, 1000, 3.0},
                                         {2, 70, 128, 777, 40.0},
                                         {2, 70, 96, 300},
                                         {2, 70, 48, 300, 5.0, 4.0},
                                         {1, 70, 128, 900, 5.0, 6.0},
                                         {2, 70, 64, 300, 1.0, 0.0, 20},
                                         {1, 1, 8, 2},
                                         {2, 70, 136, 300},
                                         {34, 140, 256, 264, 3.0},
                                         {100, 35, 256, 520, 60.0},
                                         {50, 70, 256, 256, 1.0, 0.0, 8},
                                         {34, 140, 256, 1000, 60.0},
                                         {1, 6400, 256, 1000, 5.0},
                                         {34, 140, 512, 264, 3.0},
                                         {100, 35, 768, 520, 60.0},
                                         {50, 70, 1024, 256, 1.0, 0.0, 8},
                                         {1, 6400, 512, 1000, 5.0}}) {
    // Large, or errors of the weight's gradient would drown in what it is added to.
    const LossOptions o{
        .logit = 0.7, .gradient = 64.0, .cap = c.cap, .vocabulary = c.padded ? c.vocabulary : 0};
    const Tensor targets = ids({c.members, 2, c.time}, c.vocabulary, 5);
    const auto op = [=](auto function) {
      return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
        return std::vector<Tensor>{function(x[0], w[0], targets.to(x[0].device()), o)};
      };
    };
    const double size = c.size / (0.35 * std::sqrt(static_cast<double>(c.width)));
    check_on_gpu({.name = fmt::format("loss P={} T={} D={} V={} cap={}", c.members, c.time, c.width,
                                      c.vocabulary, c.cap),
                  .inputs = {normal({c.members, 2, c.time, c.width}, 1)},
                  .weights = {normal({c.members, c.vocabulary + c.padded, c.width}, 2) * size},
                  .factors = {.A = 0.5, .A_input = 0.25, .A_weight = 2.0},
                  .fused = op(linear_cross_entropy),
                  .plain = op(linear_cross_entropy_plain),
                  .unit_upstream = true},
                 1e-2);
  }
}

// So many exponentials that they are made in chunks: of whole members, and of a member's rows.
TEST_CASE("losses without logits in chunks equal those of each chunk alone") {
  if (no_gpu()) return;
  const LossOptions o{.gradient = 64.0};
  const auto on_gpu = [](const Tensor& x, at::ScalarType type) { return x.to(at::kCUDA, type); };
  // Losses and dx; the weight's gradient is added to.
  const auto run = [&](const Tensor& from, const Weight& w, const Tensor& targets) {
    const Tensor x = from.detach().clone().set_requires_grad(true);
    const Tensor losses = linear_cross_entropy(x, w, targets, o);
    losses.sum().backward();
    return std::array<Tensor, 2>{losses.detach(), x.grad()};
  };
  struct Case {
    int64_t members, time, vocabulary;
  };
  for (const Case& c : {Case{3, 16384, 16384}, Case{1, 20000, 32768}}) {
    CAPTURE(c.members);
    const bool by_member = c.members > 1;
    const Tensor x = on_gpu(normal({c.members, 2, c.time, 256}, 1), at::kBFloat16),
                 value = on_gpu(normal({c.members, c.vocabulary, 256}, 2) * 0.1, at::kBFloat16),
                 targets = ids({c.members, 2, c.time}, c.vocabulary, 5).to(at::kCUDA);
    const auto weight = [](const Tensor& v) {
      return Weight{.value = v, .gradient = at::zeros_like(v, v.options().dtype(at::kFloat))};
    };
    const Weight whole = weight(value), apart = weight(value);
    const auto all = run(x, whole, targets);
    const int64_t axis = by_member ? 0 : 1;
    for (int64_t i = 0; i < x.size(axis); ++i) {
      Weight own = apart;
      if (by_member)
        own.value = value.narrow(0, i, 1), own.gradient = apart.gradient.narrow(0, i, 1);
      const auto part = run(x.narrow(axis, i, 1), own, targets.narrow(axis, i, 1));
      for (size_t k = 0; k < part.size(); ++k)
        CHECK(same_bits(all[k].narrow(axis, i, 1).cpu(), part[k].cpu()));
    }
    CHECK(gap(whole.gradient.to(at::kCPU, at::kDouble), apart.gradient.to(at::kCPU, at::kDouble)) <
          1e-5);
  }
}

#endif
