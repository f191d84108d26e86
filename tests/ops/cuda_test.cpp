// Every fused op on the GPU against its plain twin in fp64 on the CPU, from the same rounded
// inputs.
#ifdef RUNG_CUDA
#include <fmt/format.h>

#include <cmath>

#include "ops/activation.h"
#include "ops/cross_entropy.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "support/attention_twin.h"
#include "support/on_gpu.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("norms on the GPU equal their twins") {
  if (no_gpu()) return;
  for (const int64_t width : {8, 20, 64, 96, 128, 256, 264, 768, 1000, 1024, 1536, 2048, 4096})
    for (const bool center : {false, true})
      for (const bool added : {false, true})
        for (const bool gained : {false, true}) {
          NormOptions o{.center = center};
          if (center)
            o = {.center = true,
                 .skip = 0.8,
                 .branch = 0.6,
                 .branch_gradient = 1.0,
                 .input_gradient = 0.7};
          const std::vector<int64_t> shape{3, 2, 37, width};
          Twin twin{.name = fmt::format("norm {} {} {} {}", width, center, added, gained),
                    .inputs = {normal(shape, 1)},
                    .weights = {},
                    .fused = {},
                    .plain = {}};
          if (added) twin.inputs.push_back(normal(shape, 2));
          if (gained) twin.weights.push_back(normal({3, width}, 3) + 1.0);
          const auto op = [=](auto alone, auto both) {
            return [=](const std::vector<Tensor>& x,
                       const std::vector<Weight>& w) -> std::vector<Tensor> {
              const Weight gain = w.empty() ? Weight{} : w[0];
              if (!added) return {alone(x[0], gain, o)};
              const auto [h, y] = both(x[0], x[1], gain, o);
              return {h, y};
            };
          };
          twin.fused = op(norm, add_norm);
          twin.plain = op(norm_plain, add_norm_plain);
          check_on_gpu(twin);
        }
}

TEST_CASE("gains over many rows sum to the twin's gradient") {
  if (no_gpu()) return;
  const auto op = [](auto function) {
    return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) -> std::vector<Tensor> {
      return {function(x[0], w[0], NormOptions{})};
    };
  };
  const auto check = [&](const char* name, const std::vector<int64_t>& shape) {
    check_on_gpu({.name = name,
                  .inputs = {normal(shape, 1)},
                  .weights = {normal({shape[0], shape[3]}, 3)},
                  .fused = op(norm),
                  .plain = op(norm_plain)});
  };
  check("long norm", {2, 9, 1031, 64});
  check("long norm of wide rows", {1, 7, 601, 2048});
}

TEST_CASE("activations on the GPU equal their twins") {
  if (no_gpu()) return;
  for (const Activation kind :
       {Activation::swiglu, Activation::geglu, Activation::gelu, Activation::relu2})
    for (const int64_t width : {16, 48, 176, 30}) {
      const ActivationOptions o{.slope = 1.3, .forward = 1.7, .backward = 0.6};
      const auto op = [=](auto function) {
        return [=](const std::vector<Tensor>& x, const std::vector<Weight>&) {
          return std::vector<Tensor>{function(kind, x[0], o)};
        };
      };
      check_on_gpu({.name = fmt::format("activation {} {}", static_cast<int>(kind), width),
                    .inputs = {normal({2, 3, 35, width}, 1)},
                    .weights = {},
                    .fused = op(activation),
                    .plain = op(activation_plain)},
                   8e-3);
    }
}

TEST_CASE("a norm that hands its input on equals its twin on the GPU") {
  if (no_gpu()) return;
  const auto op = [](auto function) {
    return [=](const std::vector<Tensor>& x, const std::vector<Weight>&) -> std::vector<Tensor> {
      const auto [h, y] = function(x[0], Tensor(), Weight{}, NormOptions{.input_gradient = 0.7});
      return {h, y};
    };
  };
  check_on_gpu({.name = "norm of a stream",
                .inputs = {normal({3, 2, 37, 64}, 1)},
                .weights = {},
                .fused = op(add_norm),
                .plain = op(add_norm_plain)});
}

TEST_CASE("attention on the GPU equals its twin") {
  if (no_gpu()) return;
  struct Case {
    int64_t time, heads, kv_heads, head_dim;
    bool rope;
    double forward, backward;
    bool key_offset = false;
  };
  for (const Case& c : std::vector<Case>{
           {64, 4, 4, 16, true, 1.0, 1.0},        {37, 4, 4, 8, true, 1.7, 0.6},
           {130, 4, 2, 32, true, 1.0, 1.0},       {256, 2, 2, 64, true, 1.4, 0.9},
           {70, 2, 1, 128, false, 1.0, 1.0},      {33, 3, 3, 6, true, 1.0, 1.0},
           {64, 2, 2, 32, true, 1.3, 0.8, true},  {37, 4, 2, 24, true, 1.0, 1.0, true},
           {1, 2, 2, 16, true, 1.0, 1.0, true},   {256, 4, 4, 16, true, 1.3, 0.7, true},
           {250, 2, 2, 32, true, 1.0, 1.0},       {100, 24, 24, 16, true, 1.2, 0.8},
           {200, 24, 24, 32, true, 1.2, 0.8},     {100, 14, 14, 16, true, 1.2, 0.8},
           {200, 14, 14, 32, true, 1.2, 0.8},     {37, 14, 14, 48, true, 1.2, 0.8, true},
           {100, 3, 3, 40, true, 1.0, 1.0, true}, {128, 2, 2, 64, true, 1.2, 0.8},
           {17, 2, 2, 48, false, 1.0, 1.0},       {70, 2, 1, 128, false, 1.0, 1.0, true}}) {
    const AttentionOptions o{.heads = c.heads,
                             .kv_heads = c.kv_heads,
                             .head_dim = c.head_dim,
                             .logit = 1.0 / std::sqrt(static_cast<double>(c.head_dim)),
                             .forward = c.forward,
                             .backward = c.backward,
                             .key_offset = c.key_offset};
    check_on_gpu(attention_twin(fmt::format("attention T={} heads={}/{} dim={}", c.time, c.heads,
                                            c.kv_heads, c.head_dim),
                                normal({2, 3, c.time, (c.heads + 2 * c.kv_heads) * c.head_dim}, 3),
                                o, c.rope),
                 1.5e-2);
  }
}

TEST_CASE("linear maps and losses on the GPU equal their twins") {
  if (no_gpu()) return;
  for (const int64_t members : {1, 3}) {
    const auto product = [](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
      return std::vector<Tensor>{linear(x[0], w[0])};
    };
    check_on_gpu({.name = fmt::format("linear P={}", members),
                  .inputs = {normal({members, 2, 64, 48}, 1)},
                  .weights = {normal({members, 80, 48}, 2)},
                  .factors = {.A = 0.5, .A_input = 0.25, .A_weight = 2.0},
                  .fused = product,
                  .plain = product});
    for (const int64_t vocabulary : {96, 256, 259, 1000, 4096, 8192, 16384, 32000, 50304, 60000}) {
      // A negative factor keeps narrow bf16 rows out of the kernels without logits.
      const LossOptions o{.logit = -0.7, .gradient = 1.0 / 70.0};
      const Tensor targets = ids({members, 2, 35}, vocabulary, 5);
      const auto op = [=](auto function) {
        return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
          return std::vector<Tensor>{function(x[0], w[0], targets.to(x[0].device()), o)};
        };
      };
      check_on_gpu({.name = fmt::format("loss P={} V={}", members, vocabulary),
                    .inputs = {normal({members, 2, 35, 32}, 1)},
                    .weights = {normal({members, vocabulary, 32}, 2) * 0.4},
                    .factors = {.A = 0.5, .A_input = 0.25, .A_weight = 2.0},
                    .fused = op(linear_cross_entropy),
                    .plain = op(linear_cross_entropy_plain),
                    .unit_upstream = true},
                   1e-2);
    }
  }
}

TEST_CASE("capped logits on the GPU equal their twin") {
  if (no_gpu()) return;
  const LossOptions o{.logit = 0.7, .gradient = 1.0 / 70.0, .cap = 4.0};
  const Tensor targets = ids({2, 2, 35}, 300, 5);
  const auto op = [=](auto function) {
    return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
      return std::vector<Tensor>{function(x[0], w[0], targets.to(x[0].device()), o)};
    };
  };
  check_on_gpu({.name = "capped loss",
                .inputs = {normal({2, 2, 35, 32}, 1)},
                .weights = {normal({2, 300, 32}, 2)},
                .factors = {.A = 0.5, .A_input = 0.25, .A_weight = 2.0},
                .fused = op(linear_cross_entropy),
                .plain = op(linear_cross_entropy_plain),
                .unit_upstream = true},
               2e-2);
}

TEST_CASE("embeddings on the GPU equal their twins, frequent tokens included") {
  if (no_gpu()) return;
  for (const int64_t width : {16, 64, 128, 768, 1032})
    for (const int64_t vocabulary : {3, 50, 3000}) {
      const Tensor tokens = ids({2, 7, 211}, vocabulary, 4);
      const auto op = [=](const std::vector<Tensor>&, const std::vector<Weight>& w) {
        return std::vector<Tensor>{embedding(tokens.to(w[0].value.device()), w[0])};
      };
      check_on_gpu({.name = fmt::format("embedding {} {}", width, vocabulary),
                    .inputs = {},
                    .weights = {normal({2, vocabulary, width}, 2)},
                    .factors = {.A = 1.5, .A_weight = 0.5},
                    .fused = op,
                    .plain = op});
    }
}
#endif
